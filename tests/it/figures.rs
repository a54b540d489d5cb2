//! The page of the benches: each replaces its own section and keeps the others.

#[expect(dead_code, reason = "the benches use the rest")]
#[path = "../../benches/record/mod.rs"]
mod record;

use record::{Promise, Verdict, lines, replaced, table};

#[test]
fn a_bench_replaces_its_own_section_and_keeps_the_others() {
    let page = replaced("# Head\n", "ingest", "## In\n\none").unwrap();
    let page = replaced(&page, "browse", "## Out\n\ntwo\n").unwrap();
    let again = replaced(&page, "ingest", "## In\n\nthree").unwrap();
    assert_eq!(
        again,
        "# Head\n\n<!-- bench ingest begin -->\n## In\n\nthree\n<!-- bench ingest end -->\n\n\
         <!-- bench browse begin -->\n## Out\n\ntwo\n<!-- bench browse end -->\n"
    );
    assert_eq!(replaced(&again, "ingest", "## In\n\none").unwrap(), page);
    let half = again.replace("<!-- bench ingest end -->", "");
    assert!(
        replaced(&half, "ingest", "x")
            .unwrap_err()
            .contains("ingest")
    );
}

#[test]
fn a_verdict_is_a_line_and_a_row() {
    let promise = Promise {
        what: "start".to_owned(),
        figure: "under 100 ms".to_owned(),
        seen: "12 ms | warm".to_owned(),
        verdict: Verdict::of(false),
    };
    let promises = [promise];
    assert_eq!(
        lines(&promises),
        "MISSED   start: 12 ms | warm (promised under 100 ms)\n"
    );
    assert_eq!(
        table(&promises),
        "| what | promised | this run |\n|---|---|---|\n| start | under 100 ms | **MISSED**: 12 ms   warm |\n"
    );
}
