//! tantivy's half of bench/words_vs.py.
//!
//!     tantivy_words TEXTS QUERIES TURNS
//!
//! It reads the same files as bench_words, indexes the lines of TEXTS in memory on one thread, merges them into one segment, and
//! asks each query for its ten best rows, once to warm up and TURNS times with a clock. It prints what bench_words prints: sizes
//! and times as JSON, and on the lines behind it the least time and the rows of each query.
use std::time::Instant;
use std::{env, error::Error, fs, io::Write};

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexWriter, Searcher, TantivyDocument, Term};

const BEST: usize = 10;
const BUDGET: usize = 1 << 30;

fn build(texts: &str) -> Result<(Index, Field), Box<dyn Error>> {
    let indexing = TextFieldIndexing::default().set_tokenizer("whitespace").set_index_option(IndexRecordOption::WithFreqs);
    let mut schema = Schema::builder();
    let field = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
    let index = Index::create_in_ram(schema.build());
    let mut writer: IndexWriter = index.writer_with_num_threads(1, BUDGET)?;
    for line in texts.lines() {
        let mut document = TantivyDocument::default();
        document.add_text(field, line);
        writer.add_document(document)?;
    }
    writer.commit()?;
    let segments = index.searchable_segment_ids()?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
    }
    writer.wait_merging_threads()?;
    Ok((index, field))
}

fn query(field: Field, line: &str) -> BooleanQuery {
    let words = line.split(' ').map(|word| {
        let term = TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs);
        (Occur::Should, Box::new(term) as Box<dyn Query>)
    });
    BooleanQuery::new(words.collect())
}

fn bytes(searcher: &Searcher) -> Result<u64, Box<dyn Error>> {
    let mut sum = 0;
    for segment in searcher.space_usage()?.segments() {
        for part in [segment.termdict(), segment.postings(), segment.fieldnorms()] {
            sum += part.total().get_bytes();
        }
    }
    Ok(sum)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let (texts, queries, turns) = match &arguments[1..] {
        [texts, queries, turns] => (fs::read_to_string(texts)?, fs::read_to_string(queries)?, turns.parse::<usize>()?),
        _ => return Err("usage: tantivy_words TEXTS QUERIES TURNS".into()),
    };
    let begun = Instant::now();
    let (index, field) = build(&texts)?;
    let built = begun.elapsed().as_secs_f64();
    let searcher = index.reader()?.searcher();
    let asked: Vec<BooleanQuery> = queries.lines().map(|line| query(field, line)).collect();
    let collector = TopDocs::with_limit(BEST).order_by_score();
    let mut least = vec![u128::MAX; asked.len()];
    let mut answers = vec![Vec::new(); asked.len()];
    for _ in 0..turns + 1 {
        for (i, query) in asked.iter().enumerate() {
            let begun = Instant::now();
            answers[i] = searcher.search(query, &collector)?;
            least[i] = least[i].min(begun.elapsed().as_nanos());
        }
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    writeln!(out, "{{\"rows\": {}, \"build\": {built:.4}, \"size\": {}, \"segments\": {}}}", searcher.num_docs(), bytes(&searcher)?,
             searcher.segment_readers().len())?;
    for (ns, rows) in least.iter().zip(&answers) {
        let rows: Vec<String> = rows.iter().map(|(score, at)| format!("[{}, {score}]", at.doc_id)).collect();
        writeln!(out, "{{\"ns\": {ns}, \"rows\": [{}]}}", rows.join(", "))?;
    }
    Ok(())
}
