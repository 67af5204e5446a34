/* test_xml.c: the XML reader: documents that it walks, and documents that it refuses. */
#include "test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/xml.h"

/* A document as "name(child(…)child…)", with "=text" for elements without children. */
struct dump {
    struct arena arena;
    struct xml_reader r;
    char text[4096];
    size_t len;
};

static void add(struct dump *d, const char *before, struct span s, const char *behind)
{
    d->len += (size_t)snprintf(d->text + d->len, sizeof d->text - d->len, "%s%.*s%s", before, SPAN_FMT(s), behind);
    assert_true(d->len < sizeof d->text);
}

/* Elements named "t…" hold text, elements named "n…" a number. Elements named "s…" are skipped. */
static void dump_children(struct dump *d)
{
    struct span name, text;
    uint64_t number;
    while (xml_next_child(&d->r, &name)) {
        add(d, "", name, "");
        if (name.data[0] == 't') {
            if (xml_read_text(&d->r, &d->arena, &text))
                add(d, "=", text, ";");
        } else if (name.data[0] == 'n') {
            if (xml_read_u64(&d->r, &d->arena, &number))
                d->len += (size_t)snprintf(d->text + d->len, 32, "=%llu;", (unsigned long long)number);
        } else if (name.data[0] == 's') {
            xml_skip(&d->r);
            add(d, "~", span_str(""), "");
        } else {
            add(d, "(", span_str(""), "");
            dump_children(d);
            add(d, ")", span_str(""), "");
        }
    }
}

static enum dp_status dump(struct dump *d, struct span text, struct dp_error *error)
{
    struct span name;
    *d = (struct dump){.len = 0};
    arena_init(&d->arena, 1 << 16);
    xml_reader_init(&d->r, text);
    if (xml_enter(&d->r, &name)) {
        add(d, "", name, "(");
        dump_children(d);
        add(d, ")", span_str(""), "");
    }
    arena_deinit(&d->arena);
    return xml_failed(&d->r) ? xml_error(&d->r, error) : DP_OK;
}

static void expect(const char *text, const char *want)
{
    struct dump d;
    struct dp_error error = {0};
    if (dump(&d, span_str(text), &error) != DP_OK)
        fail_msg("%s: %s", text, error.message);
    assert_string_equal(d.text, want);
}

static void refuse(const char *text, const char *why)
{
    struct dump d;
    struct dp_error error = {0};
    assert_int_equal(dump(&d, span_str(text), &error), DP_IO);
    if (!strstr(error.message, why))
        fail_msg("%s: \"%s\" does not contain \"%s\"", text, error.message, why);
}

static void test_base_xml_walks(void **state)
{
    (void)state;
    expect("<a/>", "a()");
    expect("<a></a>", "a()");
    expect(
        "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><a x='1' y = \"<>&\"> <t>v</t>\n</a>\n",
        "a(t=v;)");
    expect("<a><b><t1>x</t1><t2/></b><c/><t3></t3></a>", "a(b(t1=x;t2=;)c()t3=;)");
    expect("<a><s><b>1</b><b/>text<s/></s><t>2</t></a>", "a(s~t=2;)");
    expect("<a>text<t>1</t> more <!-- <t>no</t> --><![CDATA[<t>no</t>]]><?pi <t>?><t>2</t></a>", "a(t=1;t=2;)");
    expect("<x:a xmlns:x=\"u\"><x:t>1</x:t></x:a >", "a(t=1;)");
    expect("<a><n>0</n><n>18446744073709</n></a>", "a(n=0;n=18446744073709;)");
}

static void test_base_xml_reads_text(void **state)
{
    (void)state;
    expect("<a><t>&lt;&gt;&amp;&quot;&apos;</t></a>", "a(t=<>&\"';)");
    expect("<a><t>x&#65;&#x42;&#x2f;y</t></a>", "a(t=xAB/y;)");
    expect("<a><t>&#233;&#x4e2d;&#x1F600;</t></a>", "a(t=\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80;)");
    expect("<a><t>1<![CDATA[<&]]>2<!-- 3 -->4<?5?>6</t></a>", "a(t=1<&246;)");
    expect("<a><t><![CDATA[]]></t></a>", "a(t=;)");
    expect("<a><t>]]&gt;</t></a>", "a(t=]]>;)");
    expect("<a><t> kept </t></a>", "a(t= kept ;)");
    expect("<a><t>%20+</t></a>", "a(t=%20+;)");
}

static void test_base_xml_refuses(void **state)
{
    (void)state;
    refuse("", "an element is missing at byte 0");
    refuse("   ", "an element is missing");
    refuse("text", "an element is missing");
    refuse("<a>", "ends inside an element");
    refuse("<a><b>", "ends inside an element");
    refuse("<a><t>", "ends inside text");
    refuse("<a><t>x", "ends inside text");
    refuse("<a><t>x<", "where text is expected");
    refuse("<a><b></a></b>", "does not match");
    refuse("<a></x:a>", "does not match");
    refuse("<a></", "a name is missing");
    refuse("<a></a", "does not end in '>'");
    refuse("<", "a name is missing");
    refuse("< a/>", "a name is missing");
    refuse("<a", "inside a tag");
    refuse("<a/", "does not end in '>'");
    refuse("<a x", "no value");
    refuse("<a x=1>", "not quoted");
    refuse("<a x=\"1>", "ends early");
    refuse("<a><!-- </a>", "ends early");
    refuse("<a><![CDATA[ </a>", "ends early");
    refuse("<a><t><![CDATA[>]]</t></a>", "ends early");
    refuse("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document types are not supported");
    refuse("<a><t><b/></t></a>", "where text is expected");
    refuse("<a><t>&x;</t></a>", "reference");
    refuse("<a><t>&amp</t></a>", "reference");
    refuse("<a><t>&</t></a>", "reference");
    refuse("<a><t>&#0;</t></a>", "reference");
    refuse("<a><t>&#;</t></a>", "reference");
    refuse("<a><t>&#x;</t></a>", "reference");
    refuse("<a><t>&#xD800;</t></a>", "reference");
    refuse("<a><t>&#x110000;</t></a>", "reference");
    refuse("<a><t>&#99999999;</t></a>", "reference");
    refuse("<a><t>&#1A;</t></a>", "reference");
    refuse("<a><n></n></a>", "a number");
    refuse("<a><n>-1</n></a>", "a number");
    refuse("<a><n> 1</n></a>", "a number");
    refuse("<a><n>99999999999999999999</n></a>", "a number");
}

static void test_base_xml_limits(void **state)
{
    (void)state;
    char text[512] = "";
    for (unsigned i = 0; i < XML_DEPTH_MAX; i++)
        strcat(text, "<a>");
    struct dump d;
    struct dp_error error = {0};
    assert_int_equal(dump(&d, span_str(text), &error), DP_IO);
    assert_non_null(strstr(error.message, "ends inside"));
    strcat(text, "<a>");
    refuse(text, "nested too deep");
    snprintf(text, sizeof text, "<%0*d/>", XML_NAME_MAX_BYTES, 0);
    assert_int_equal(dump(&d, span_str(text), &error), DP_OK);
    snprintf(text, sizeof text, "<%0*d/>", XML_NAME_MAX_BYTES + 1, 0);
    refuse(text, "too long");
}

/* The reader refuses every prefix of a document, and never reads past its end. */
static void test_base_xml_truncated(void **state)
{
    (void)state;
    static const char whole[] =
        "<?xml version='1.0'?><a k=\"v\"><t>x&amp;<![CDATA[y]]></t><!--c--><b><n>5</n><s><c/></s></b></a>";
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        struct dump d;
        struct dp_error error = {0};
        uint8_t *exact = malloc(len ? len : 1); /* lets the sanitizers see a read past the end */
        assert_non_null(exact);
        memcpy(exact, whole, len);
        assert_int_equal(dump(&d, span_of(exact, len), &error), DP_IO);
        free(exact);
    }
    expect(whole, "a(t=x&y;b(n=5;s~))");
}

static void test_base_xml_attributes(void **state)
{
    (void)state;
    static const struct {
        const char *document;
        bool has;
    } cases[] = {
        {"<a Encoded=\"true\"/>", true},           {"<a x='1' Encoded = 'true' >t</a>", true},
        {"<a Encoded=\"false\"/>", false},         {"<a/>", false},
        {"<a x='Encoded=\"true\"'/>", false},      {"<a NotEncoded=\"true\"/>", false},
        {"<a x=\"\" y='' Encoded='true'/>", true}, {"<a encoded=\"true\"/>", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xml_reader r;
        struct span name;
        xml_reader_init(&r, span_str(cases[i].document));
        assert_true(xml_enter(&r, &name));
        if (xml_has_attribute(&r, "Encoded", "true") != cases[i].has)
            fail_msg("%s", cases[i].document);
    }
}

static void test_base_xml_out_of_memory(void **state)
{
    (void)state;
    struct dump d;
    struct dp_error error = {0};
    test_alloc_fail_at(1);
    assert_int_equal(dump(&d, span_str("<a><t>&amp;</t></a>"), &error), DP_NOMEM);
    test_alloc_fail_at(0);
}

/* After the end or a failure, every call returns false. */
static void test_base_xml_stays_at_its_end(void **state)
{
    (void)state;
    struct xml_reader r;
    struct span s;
    uint64_t n;
    xml_reader_init(&r, span_str("<a/>"));
    assert_true(xml_enter(&r, &s));
    assert_false(xml_next_child(&r, &s));
    assert_false(xml_failed(&r));
    assert_false(xml_skip(&r));
    assert_true(xml_failed(&r));
    assert_false(xml_enter(&r, &s));
    assert_false(xml_next_child(&r, &s));
    assert_false(xml_read_text(&r, NULL, &s));
    assert_false(xml_read_u64(&r, NULL, &n));
    xml_reader_init(&r, span_str("<a/>"));
    assert_false(xml_next_child(&r, &s));
    assert_true(xml_failed(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_xml_walks),         cmocka_unit_test(test_base_xml_reads_text),
        cmocka_unit_test(test_base_xml_refuses),       cmocka_unit_test(test_base_xml_limits),
        cmocka_unit_test(test_base_xml_truncated),     cmocka_unit_test(test_base_xml_attributes),
        cmocka_unit_test(test_base_xml_out_of_memory), cmocka_unit_test(test_base_xml_stays_at_its_end),
    };
    return test_run(tests);
}
