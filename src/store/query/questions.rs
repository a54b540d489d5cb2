//! The questions that come with the program, by name: `subledger sql @NAME`.

macro_rules! questions {
    ($($name:literal),+ $(,)?) => {
        /// Name and SQL of each; the first line is `-- title`.
        pub const QUESTIONS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../assets/queries/", $name, ".sql")))),+
        ];
    };
}

questions![
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

/// What the question says of itself.
pub fn title(sql: &str) -> &str {
    sql.lines()
        .next()
        .and_then(|line| line.strip_prefix("-- "))
        .unwrap_or_default()
}
