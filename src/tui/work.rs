//! What the screen has written into the ledger: the question before it, how far it is, what is said of it after.
//!
//! Plain data and words. Nothing here knows where the ledger's writer is.

use crate::domain::page::{Count, List};
use crate::domain::query::Query;
use crate::store::task::{Progress, Task, TaskReport};
use crate::tui::cell;
use crate::tui::theme::Meaning;

/// What a question ends with.
const ANSWERS: [(&str, Meaning); 2] = [
    ("y", Meaning::Strong),
    (" does it, any other key leaves it", Meaning::Quiet),
];

/// What is asked once before something is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// What is to be done, without a question mark: `Take in 1 webhook (zotlo, events)`.
    pub what: String,
    /// To how many rows, where that has to be counted first.
    pub of: Option<Weight>,
    /// What `y` has done.
    pub task: Task,
}

/// How much a task is about: the rows of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Comes back with the answer.
    pub ticket: u64,
    /// The list.
    pub list: List,
    /// The filter.
    pub query: Query,
    /// One row and several, in words.
    pub nouns: (&'static str, &'static str),
    /// How many; `None` while that is counted.
    pub count: Option<Count>,
}

impl Weight {
    fn words(&self) -> String {
        let (one, many) = self.nouns;
        match self.count {
            None => "counting".to_owned(),
            Some(Count::Exact(1)) => format!("1 {one}"),
            Some(count) => format!("{} {many}", cell::count(count)),
        }
    }
}

impl Question {
    /// The question, and how it is answered.
    pub fn pieces(&self) -> Vec<(String, Meaning)> {
        let many = self
            .of
            .as_ref()
            .map_or_else(String::new, |of| format!(" ({})", of.words()));
        let what = format!("{}{many}?  ", self.what);
        let answers = ANSWERS.map(|(text, meaning)| (text.to_owned(), meaning));
        std::iter::once((what, Meaning::Warning))
            .chain(answers)
            .collect()
    }
}

/// A task under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Which.
    pub task: Task,
    /// How far it is.
    pub progress: Progress,
}

impl Work {
    /// One that was just begun.
    pub fn new(task: Task) -> Self {
        Self {
            task,
            progress: Progress::default(),
        }
    }

    /// What is being done: `reading again, 120 of 400`.
    pub fn words(&self) -> String {
        let doing = doing(&self.task);
        match (self.progress.done, self.progress.of) {
            (0, _) | (_, Some(0 | 1)) => doing.to_owned(),
            (done, None) => format!("{doing}, {} done", cell::number(done)),
            (done, Some(of)) => {
                format!("{doing}, {} of {}", cell::number(done), cell::number(of))
            }
        }
    }

    /// What is said once it is done.
    pub fn said(&self, report: &TaskReport) -> (String, Meaning) {
        let first = report.findings.first();
        match &self.task {
            Task::Admit { ids } if ids.len() == 1 => match (report.seqs.first(), first) {
                (Some(seq), _) => (format!("taken in as webhook {seq}"), Meaning::Good),
                (None, Some(why)) => {
                    let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
                    (format!("not taken in: {why}"), Meaning::Bad)
                }
                (None, None) => (report.summary.clone(), Meaning::Bad),
            },
            Task::RetryQuarantine | Task::RetryThese { .. } if report.changed == 0 => {
                let rest = first.map_or(
                    "what is not stays kept, and an upgrade reads it again",
                    |why| why,
                );
                (format!("{}; {rest}", report.summary), Meaning::Warning)
            }
            Task::MarkTest {
                which: crate::store::task::Which::Seqs(_),
                ..
            } if report.changed > 0 => (
                format!("{}; t takes that back", report.summary),
                Meaning::Good,
            ),
            Task::MarkReviewed { .. } => (
                format!("{}; u takes that back", report.summary),
                Meaning::Good,
            ),
            _ => (with_findings(report), Meaning::Good),
        }
    }
}

/// The sentence of a report, and what needs a look.
fn with_findings(report: &TaskReport) -> String {
    match report.findings.as_slice() {
        [] => report.summary.clone(),
        [one] => format!("{}; {one}", report.summary),
        [one, more @ ..] => format!("{}; {one}; and {} more", report.summary, more.len()),
    }
}

fn doing(task: &Task) -> &'static str {
    match task {
        Task::MarkReviewed { .. } => "marking as reviewed",
        Task::UndoReview => "undoing the review",
        Task::SaveView { .. } => "saving the filter",
        Task::DropView { .. } => "deleting the filter",
        Task::PinView { .. } => "pinning the filter",
        Task::MarkTest { test: true, .. } => "marking as tests",
        Task::MarkTest { test: false, .. } => "taking test marks off",
        Task::Admit { .. } => "taking in",
        Task::RetryQuarantine | Task::RetryThese { .. } => "reading again",
        _ => "writing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::task::Which;

    fn report(summary: &str, changed: u64, findings: &[&str]) -> TaskReport {
        TaskReport {
            summary: summary.to_owned(),
            changed,
            findings: findings.iter().map(|line| (*line).to_owned()).collect(),
            ..TaskReport::default()
        }
    }

    #[test]
    fn what_came_of_it_is_one_sentence() {
        let admit = Work::new(Task::Admit { ids: vec![12] });
        let refused = report(
            "0 of 1 taken in",
            0,
            &["12: secret link wrong; basic right"],
        );
        assert_eq!(
            admit.said(&refused),
            (
                "not taken in: secret link wrong; basic right".to_owned(),
                Meaning::Bad
            )
        );
        let taken = TaskReport {
            seqs: vec![812],
            ..report("1 of 1 taken in", 1, &[])
        };
        assert_eq!(admit.said(&taken).0, "taken in as webhook 812");
        let retry = Work::new(Task::RetryQuarantine);
        let (said, meaning) = retry.said(&report("0 of 3 understood now", 0, &[]));
        assert!(said.starts_with("0 of 3 understood now; ") && meaning == Meaning::Warning);
        let more = report(
            "2 of 4 understood now",
            2,
            &["delivery 5: a", "delivery 6: b"],
        );
        assert_eq!(
            retry.said(&more),
            (
                "2 of 4 understood now; delivery 5: a; and 1 more".to_owned(),
                Meaning::Good
            )
        );
        let mark = Work::new(Task::MarkTest {
            which: Which::Seqs(vec![3]),
            test: true,
        });
        let said = mark.said(&report("1 delivery marked as a test", 1, &[])).0;
        assert!(said.ends_with("t takes that back"));
        let reviewed = Work::new(Task::MarkReviewed { seq: 3 });
        let said = reviewed.said(&report("reviewed", 1, &[])).0;
        assert_eq!(said, "reviewed; u takes that back");
    }

    #[test]
    fn how_far_it_is_says_no_more_than_is_known() {
        let mut work = Work::new(Task::RetryQuarantine);
        let mut words = |done, of| {
            work.progress = Progress { done, of };
            work.words()
        };
        assert_eq!(words(0, Some(40)), "reading again");
        assert_eq!(words(16, None), "reading again, 16 done");
        assert_eq!(words(1_200, Some(4_000)), "reading again, 1,200 of 4,000");
    }

    #[test]
    fn a_question_counts_what_it_is_about() {
        let question = |count| {
            let question = Question {
                what: "Mark all".to_owned(),
                of: Some(Weight {
                    ticket: 1,
                    list: List::Events,
                    query: Query::default(),
                    nouns: ("event", "events"),
                    count,
                }),
                task: Task::RetryQuarantine,
            };
            question.pieces()[0].0.clone()
        };
        assert_eq!(question(None), "Mark all (counting)?  ");
        assert_eq!(question(Some(Count::Exact(1))), "Mark all (1 event)?  ");
        assert_eq!(
            question(Some(Count::MoreThan(10_000))),
            "Mark all (>10,000 events)?  "
        );
    }
}
