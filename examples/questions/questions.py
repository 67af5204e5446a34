"""A few thousand short questions of everyday life, from templates with slots. Standard library only.

    examples/questions/questions.py      prints one question per line; always the same questions

own(path) reads your own questions instead.
"""
import csv
import itertools
import re
import string

SLOTS = {
    "job": "a nurse, a teacher, a software developer, an electrician, a carpenter, a pilot, a chef, a lawyer, an accountant, "
           "a journalist, a graphic designer, a plumber, a pharmacist, a librarian, a bus driver, a translator, a gardener, "
           "an architect, a paramedic, a data analyst, a hairdresser, a mechanic, a social worker, a photographer",
    "city": "Berlin, Paris, London, Rome, Madrid, Lisbon, Vienna, Prague, Oslo, Stockholm, Copenhagen, Amsterdam, Dublin, "
            "Athens, Istanbul, Cairo, Nairobi, Mumbai, Tokyo, Seoul, Sydney, Toronto, New York, Mexico City, Lima, "
            "Buenos Aires",
    "meal": "breakfast, lunch, dinner, a picnic, a late supper, an afternoon snack",
    "dish": "a sourdough loaf, pancakes, an omelette, lentil soup, a risotto, pizza dough, a roast chicken, sushi, a curry, "
            "a salad, fried rice, an apple pie, dumplings, hummus, a lasagne, ramen, a cheesecake, tomato sauce, "
            "chocolate cookies, a vegetable stew, mashed potatoes, fish tacos",
    "food": "spinach, salmon, tofu, rice, mushrooms, eggs, yoghurt, strawberries, potatoes, beans, chicken, avocados, honey, "
            "coffee beans, fresh herbs, milk",
    "sport": "tennis, badminton, squash, table tennis, padel, football, basketball, volleyball, handball, rugby, cricket, "
             "baseball, golf, hockey, swimming, rowing, sailing, surfing, cycling, running, climbing, judo, fencing, archery",
    "money": "a mortgage, a car loan, a pension, a savings account, a credit card, an index fund, life insurance, "
             "government bonds, a student loan, a household budget, an emergency fund, shares",
    "ailment": "a headache, a cold, back pain, a sore throat, insomnia, hay fever, a sprained ankle, heartburn, a fever, "
               "dry skin, toothache, a cough, stress, migraine, sunburn, a stiff neck, low blood pressure, iron deficiency",
    "device": "a laptop, a printer, a phone, a router, a tablet, an external disk, a keyboard, a webcam, a monitor, "
              "a smart watch, headphones, a game console",
    "program": "a spreadsheet, a text editor, an e-mail client, a web browser, a password manager, a database, "
               "a version control system, a calendar, a photo library, a virtual machine",
    "language": "Spanish, French, German, Italian, Japanese, Mandarin, Arabic, Portuguese, Swedish, Korean, Russian, Greek, "
                "Turkish, Hindi",
    "instrument": "the piano, the guitar, the violin, the drums, the flute, the cello, the saxophone, the trumpet, the harp, "
                  "the accordion, the ukulele, the clarinet",
    "plant": "tomatoes, roses, basil, an orchid, a cactus, carrots, an apple tree, lavender, sunflowers, ferns, garlic, "
             "a lawn, strawberry plants, a lemon tree",
    "pet": "a dog, a cat, a rabbit, a hamster, a parrot, a goldfish, a tortoise, a horse, a guinea pig, a canary",
    "subject": "algebra, geometry, statistics, physics, chemistry, biology, geography, history, economics, philosophy, "
               "grammar, programming, astronomy",
    "chore": "a dripping tap, a blocked drain, a squeaky door, a broken window, a cracked tile, a loose shelf, "
             "a flickering lamp, a cold radiator, a creaking floor, peeling paint, a hole in the wall, a slow toilet",
    "vehicle": "a car, a motorcycle, a bicycle, an electric scooter, a van, a camper, a boat",
    "wonder": "rainbows, tides, thunder, eclipses, earthquakes, snow, fog, volcanoes, the northern lights, hurricanes, "
              "sand dunes, shooting stars",
}

TEMPLATES = """
How do I become {job}?
How much does {job} earn?
What does {job} do all day?
What training does {job} need?
How can I find work as {job}?
Is it hard to get hired as {job}?
What should I ask when I hire {job}?
How do I find work as {job} in {city}?
How do I find a job in {city}?
Where are the best companies to work for in {city}?
How do I look for a job while I still have one?
How do I write a good application letter?
How should I prepare for a job interview?
What should a curriculum vitae contain?
How do I ask for a higher salary?
How do I change careers at forty?
Where can I look for a part-time job?
How do I find a job without experience?
How do I find my first job after university?
What should I do after losing my job?
How do I resign politely?
What should I eat for {meal}?
What is quick to cook for {meal}?
What can I prepare for {meal} without meat?
What is a healthy choice for {meal}?
What do people in {city} eat for {meal}?
What can I take to the office for lunch?
How do I make {dish}?
How long does it take to cook {dish}?
What goes well with {dish}?
Can I freeze {dish}?
How do I keep {food} fresh?
Is {food} good for me?
What can I cook with {food}?
How do I know whether {food} has gone bad?
How do I learn {sport}?
What are the rules of {sport}?
What do I need to start {sport}?
Is {sport} good exercise?
How often should I train for {sport}?
Which sport resembles {sport}?
At what age can children start {sport}?
Where can I practise {sport} in {city}?
Is {sport} like {sport}?
What is there to see in {city}?
When is the best time to visit {city}?
How many days do I need for {city}?
Is {city} safe for tourists?
How do I get from the airport to the centre of {city}?
Where can I stay cheaply in {city}?
What is the weather like in {city} in spring?
Is public transport good in {city}?
What should I pack for a week in {city}?
How do I find a flat in {city}?
How does {money} work?
Do I need {money}?
What does {money} cost?
What should I look out for with {money}?
How do I get out of {money}?
How much money should I put into {money}?
What helps against {ailment}?
What causes {ailment}?
When should I see a doctor about {ailment}?
How long does {ailment} last?
Can food help with {ailment}?
How do I avoid {ailment}?
How do I choose {device}?
Why is {device} so slow?
How do I clean {device}?
How do I connect {device} to the internet?
What should I do when {device} does not turn on?
How long does {device} last?
Can {device} be repaired?
How do I get started with {program}?
Which is the best free alternative to {program}?
How do I back up {program}?
How do I speed up {program}?
How do I move {program} to another computer?
How long does it take to learn {language}?
Is {language} hard to learn?
What is the best way to practise {language}?
How do I say thank you in {language}?
Where is {language} spoken?
Can I learn {language} by watching films?
How do I learn to play {instrument}?
How much does {instrument} cost?
Is {instrument} hard for beginners?
How do I tune or look after {instrument}?
Can I play {instrument} without bothering the neighbours?
How often should I water {plant}?
When do I plant or repot {plant}?
How much sun does {plant} need?
Why does {plant} look ill?
How do I protect {plant} from frost?
How do I look after {pet}?
What does {pet} eat?
How long does {pet} live?
How much does it cost to keep {pet}?
Who can mind {pet} while I travel?
Is {pet} a good companion for children?
How can I get better at {subject}?
What is a good book about {subject}?
Why do we learn {subject}?
How do I explain {subject} to a child?
How do I prepare for an exam in {subject}?
How do I fix {chore}?
Whom do I call about {chore}?
What does it cost to repair {chore}?
How do I sell {vehicle}?
How often does {vehicle} need a service?
Do I need insurance for {vehicle}?
How do I keep {vehicle} from being stolen?
Can I take {vehicle} on a ferry?
What causes {wonder}?
Where can I watch {wonder}?
Are {wonder} dangerous?
How do scientists predict {wonder}?
"""


def questions():
    """All questions, in a fixed order, without repetitions."""
    seen = {}
    for template in TEMPLATES.strip().splitlines():
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        parts = re.split(r"\{\w+\}", template)
        for values in itertools.product(*([word.strip() for word in SLOTS[name].split(",")] for name in names)):
            if len(set(values)) == len(values):
                text = "".join(itertools.chain.from_iterable(itertools.zip_longest(parts, values, fillvalue="")))
                seen.setdefault(text, None)
    return list(seen)


def own(path, limit=None):
    """The questions of a file of text lines; of a .tsv or .csv with a header, the columns named "question…" (as in the Quora
    question pairs, quora_duplicate_questions.tsv) or "text"."""
    seen = {}
    with open(path, encoding="utf-8", newline="") as file:
        if not str(path).endswith((".tsv", ".csv")):
            rows = ([line] for line in file)
        else:
            reader = csv.DictReader(file, delimiter="\t" if str(path).endswith(".tsv") else ",")
            columns = [name for name in reader.fieldnames or [] if name.startswith("question") or name == "text"]
            if not columns:
                raise ValueError(f"{path}: no column is named question… or text")
            rows = ([row[name] or "" for name in columns] for row in reader)
        for row in rows:
            for text in row:
                text = " ".join(text.split())
                if text:
                    seen.setdefault(text, None)
                if limit and len(seen) == limit:
                    return list(seen)
    return list(seen)


if __name__ == "__main__":
    print("\n".join(questions()))
