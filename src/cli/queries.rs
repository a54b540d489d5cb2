//! The questions that come with subledger: `assets/queries/*.sql`, by name.

/// Name and text of one of them.
type Named = (&'static str, &'static str);

macro_rules! queries {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/queries/", $name, ".sql")))),+]
    };
}

/// All, by name.
pub const QUERIES: &[Named] = queries![
    "active-subscriptions",
    "best-readers",
    "cancellations-by-reason",
    "churn-by-month",
    "consent-by-week",
    "consent-today",
    "ending-soon",
    "gone-quiet",
    "money-without-subscription",
    "monthly-value",
    "new-readers-by-week",
    "new-subscriptions-by-day",
    "payments-by-month",
    "refunds",
    "seen-twice",
    "sign-ins",
    "trials",
    "turned-away",
    "webhooks-by-day",
    "withdrawn-still-paying",
];

/// The question that a query answers: its first line, a comment.
pub fn title(text: &str) -> &str {
    text.lines()
        .next()
        .unwrap_or("")
        .trim_start_matches('-')
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_that_is_kept_can_be_named_and_says_what_it_answers() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/queries");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".sql").map(str::to_owned)
            })
            .collect();
        files.sort();
        let names: Vec<&str> = QUERIES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, files);
        for (name, text) in QUERIES {
            assert!(text.starts_with("-- "), "{name}");
            assert!(title(text).len() > 10, "{name}");
        }
    }
}
