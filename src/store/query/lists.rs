//! The lists as relations: their columns, and where sort key, id and each column stand in SQL.

use crate::domain::page::{Column, List, Shape};

use Shape::{Body, Day, Flag, Json, Minor, Number, Real, Text, Time, Word};

const fn column(
    name: &'static str,
    title: &'static str,
    shape: Shape,
    priority: u8,
    width_min: u16,
    width_max: u16,
) -> Column {
    Column {
        name,
        title,
        shape,
        priority,
        width_min,
        width_max,
    }
}

/// A column of machine formats and detail only.
pub(super) const fn plain(name: &'static str, title: &'static str, shape: Shape) -> Column {
    column(name, title, shape, 0, 6, 40)
}

const EVENTS: &[Column] = &[
    plain("id", "Id", Number),
    column("seq", "Delivery", Number, 9, 8, 10),
    plain("n", "Nth", Number),
    column("provider", "Provider", Word, 3, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("app", "App", Text, 9, 8, 24),
    column("type", "Type", Word, 1, 14, 28),
    column("provider_type", "Provider's name", Text, 9, 14, 30),
    column("at", "When", Time, 1, 16, 16),
    plain("day", "Day", Day),
    plain("occurred_at", "Occurred", Time),
    plain("occurred_at_source", "Told by", Word),
    plain("received_at", "Received", Time),
    plain("user_id", "User", Text),
    plain("email", "E-mail", Text),
    plain("phone", "Phone", Text),
    plain("name", "Name", Text),
    column("subscription_id", "Subscription", Text, 9, 12, 28),
    column("plan", "Plan", Text, 6, 8, 20),
    column("amount_minor", "Amount", Minor, 4, 10, 18),
    plain("currency", "Currency", Word),
    plain("exponent", "Digits", Number),
    plain("amount", "Amount (number)", Real),
    plain("amount_text", "Amount as sent", Text),
    column("test", "Test", Flag, 6, 4, 4),
    plain("data", "Data", Json),
    column("who", "Who", Text, 2, 12, 32),
];

const USERS: &[Column] = &[
    plain("id", "Id", Number),
    column("provider", "Provider", Word, 3, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("user_id", "User", Text, 9, 12, 28),
    column("email", "E-mail", Text, 4, 14, 32),
    column("phone", "Phone", Text, 8, 12, 16),
    plain("name", "Name", Text),
    column("country", "Country", Text, 7, 7, 12),
    column("city", "City", Text, 9, 8, 16),
    plain("client_user_id", "Own id", Text),
    column("registered_at", "Registered", Time, 6, 16, 16),
    plain("first_seen_at", "First seen", Time),
    column("last_seen_at", "Last seen", Time, 1, 16, 16),
    column("sign_ins", "Sign-ins", Number, 8, 8, 8),
    column("identity_proof", "Address", Word, 9, 10, 12),
    column("active_subscriptions", "Active", Number, 5, 6, 6),
    column("consents_given", "Consents", Number, 6, 8, 8),
    column("test", "Test", Flag, 7, 4, 4),
    column("who", "Who", Text, 2, 14, 32),
];

const SUBSCRIPTIONS: &[Column] = &[
    plain("id", "Id", Number),
    column("provider", "Provider", Word, 4, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("app", "App", Text, 9, 8, 24),
    plain("subscription_id", "Subscription", Text),
    plain("gateway_id", "Gateway's id", Text),
    plain("user_id", "User", Text),
    plain("email", "E-mail", Text),
    column("plan", "Plan", Text, 3, 8, 20),
    column("status", "Status", Word, 6, 8, 9),
    column("state", "State", Text, 1, 16, 28),
    plain("auto_renew", "Renews", Flag),
    plain("has_access", "Access", Flag),
    column("access_until", "Access until", Time, 8, 16, 16),
    column("started_at", "Started", Time, 8, 16, 16),
    plain("renewed_at", "Renewed", Time),
    plain("cancelled_at", "Cancelled", Time),
    column("cancel_reason", "Reason", Text, 9, 10, 30),
    column("price_minor", "Price", Minor, 5, 12, 18),
    plain("currency", "Currency", Word),
    plain("exponent", "Digits", Number),
    plain("price", "Price (number)", Real),
    plain("interval_unit", "Unit", Word),
    plain("interval_count", "Count", Number),
    plain("interval_months", "Months", Real),
    column("test", "Test", Flag, 7, 4, 4),
    plain("purchase_id", "Purchase", Text),
    plain("converted_at", "Converted", Time),
    plain("access_derived", "Access derived", Flag),
    plain("stated_status", "As stated", Word),
    column("flag", "Note", Text, 9, 8, 30),
    column("changed_at", "Changed", Time, 1, 16, 16),
    column("who", "Who", Text, 2, 14, 32),
];

const CANCELLATIONS: &[Column] = &[
    plain("id", "Id", Number),
    plain("seq", "Delivery", Number),
    column("provider", "Provider", Word, 6, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    plain("subscription_id", "Subscription", Text),
    plain("gateway_id", "Gateway's id", Text),
    plain("user_id", "User", Text),
    plain("email", "E-mail", Text),
    plain("name", "Name", Text),
    column("plan", "Plan", Text, 5, 8, 20),
    column("cancelled_at", "Cancelled", Time, 1, 16, 16),
    plain("day", "Day", Day),
    column("reason", "Reason", Text, 3, 10, 30),
    plain("code", "Code", Text),
    column("actor", "By", Word, 4, 8, 8),
    plain("matched", "Matched", Word),
    column("access_until", "Access until", Time, 6, 16, 16),
    column("price_minor", "Price", Minor, 7, 12, 18),
    plain("currency", "Currency", Word),
    plain("exponent", "Digits", Number),
    plain("price", "Price (number)", Real),
    column("reactivated_at", "Came back", Time, 8, 16, 16),
    column("test", "Test", Flag, 7, 4, 4),
    column("who", "Who", Text, 2, 12, 32),
];

const CONSENTS: &[Column] = &[
    column("provider", "Provider", Word, 4, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("app", "App", Text, 9, 8, 24),
    plain("user_id", "User", Text),
    column("kind", "Kind", Word, 5, 8, 10),
    column("purpose", "Purpose", Text, 1, 12, 28),
    column("state", "State", Word, 1, 9, 9),
    column("since", "Since", Time, 1, 16, 16),
    column("method", "Method", Text, 7, 8, 10),
    column("version", "Version", Text, 8, 8, 12),
    plain("evidence", "Evidence", Text),
    plain("seq", "Delivery", Number),
    plain("id", "Id", Number),
    column("test", "Test", Flag, 7, 4, 4),
    column("who", "Who", Text, 2, 14, 32),
];

const CHANGES: &[Column] = &[
    plain("id", "Id", Number),
    plain("seq", "Delivery", Number),
    column("at", "When", Time, 1, 16, 16),
    plain("day", "Day", Day),
    column("provider", "Provider", Word, 5, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("app", "App", Text, 9, 8, 24),
    plain("user_id", "User", Text),
    plain("email", "E-mail", Text),
    column("kind", "Kind", Word, 6, 8, 10),
    column("purpose", "Purpose", Text, 1, 12, 28),
    column("before_state", "Before", Word, 4, 9, 9),
    column("after_state", "After", Word, 1, 9, 9),
    column("method", "Method", Text, 8, 8, 10),
    column("version", "Version", Text, 8, 8, 12),
    column("test", "Test", Flag, 7, 4, 4),
    column("who", "Who", Text, 2, 14, 32),
];

const PAYMENTS: &[Column] = &[
    plain("id", "Id", Number),
    plain("seq", "Delivery", Number),
    column("provider", "Provider", Word, 4, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    plain("payment_id", "Payment", Text),
    plain("transaction_id", "Transaction", Text),
    plain("user_id", "User", Text),
    plain("subscription_id", "Subscription", Text),
    column("at", "When", Time, 1, 16, 16),
    plain("day", "Day", Day),
    column("kind", "Kind", Word, 3, 7, 7),
    column("amount_minor", "Amount", Minor, 1, 12, 18),
    column("net_minor", "Net", Minor, 8, 12, 18),
    plain("currency", "Currency", Word),
    plain("exponent", "Digits", Number),
    plain("amount", "Amount (number)", Real),
    plain("amount_text", "Amount as sent", Text),
    column("status", "Status", Text, 6, 9, 14),
    column("plan", "Plan", Text, 5, 8, 20),
    column("flag", "Note", Text, 7, 8, 30),
    column("test", "Test", Flag, 7, 4, 4),
    plain("for_subscription", "For a subscription", Flag),
    column("who", "Who", Text, 2, 10, 32),
];

const DELIVERIES: &[Column] = &[
    column("seq", "Seq", Number, 4, 8, 10),
    column("received_at", "Received", Time, 1, 16, 16),
    column("provider", "Provider", Word, 2, 8, 14),
    column("account", "Account", Text, 8, 7, 12),
    column("hook", "Hook", Text, 4, 8, 22),
    column("outcome", "Outcome", Word, 1, 11, 11),
    plain("duplicate_of", "First", Number),
    column("reason", "Reason", Text, 3, 12, 40),
    plain("dedupe_policy", "Policy", Number),
    plain("dedupe_key", "Key", Text),
    plain("confidence", "Sure", Word),
    column("credential", "Proof", Text, 7, 10, 24),
    column("identity_proof", "Address", Word, 8, 10, 12),
    column("remote_ip", "From", Text, 9, 12, 39),
    plain("headers", "Headers", Json),
    plain("body", "Body", Body),
    column("body_bytes", "Bytes", Number, 8, 6, 8),
    column("origin", "Origin", Word, 9, 8, 8),
    column("test", "Test", Flag, 6, 4, 4),
    plain("salt", "Salt", Body),
    plain("commitment", "Commitment", Body),
    plain("link", "Link", Body),
    plain("erased_at", "Erased", Time),
    column("provider_type", "Provider's name", Text, 5, 12, 30),
    plain("reader_version", "Read by", Number),
    plain("id", "Id", Number),
];

/// The columns of `list`: those of DESIGN.md section 10 in its order, then ours.
pub const fn columns(list: List) -> &'static [Column] {
    match list {
        List::Events => EVENTS,
        List::Users => USERS,
        List::Subscriptions => SUBSCRIPTIONS,
        List::Cancellations => CANCELLATIONS,
        List::Consents => CONSENTS,
        List::Changes => CHANGES,
        List::Payments => PAYMENTS,
        List::Deliveries => DELIVERIES,
    }
}

/// One relation that rows of a list come from; it is called `r` in every statement, the reader's row `u`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Events,
    Users,
    Subscriptions,
    Cancellations,
    Consents,
    Changes,
    Payments,
    Deliveries,
    Rejected,
}

impl Source {
    /// Where the rows of `list` come from.
    pub(super) const fn of(list: List) -> &'static [Self] {
        match list {
            List::Events => &[Self::Events],
            List::Users => &[Self::Users],
            List::Subscriptions => &[Self::Subscriptions],
            List::Cancellations => &[Self::Cancellations],
            List::Consents => &[Self::Consents],
            List::Changes => &[Self::Changes],
            List::Payments => &[Self::Payments],
            List::Deliveries => &[Self::Deliveries, Self::Rejected],
        }
    }

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Users => "users",
            Self::Subscriptions => "subscriptions",
            Self::Cancellations => "cancellations",
            Self::Consents => "consents",
            Self::Changes => "consent_changes",
            Self::Payments => "payments",
            Self::Deliveries => "deliveries",
            Self::Rejected => "rejected",
        }
    }

    /// The time that the list is ordered by.
    pub(super) const fn sort(self) -> &'static str {
        match self {
            Self::Events | Self::Changes | Self::Payments => "r.at",
            Self::Users => "r.last_seen_at",
            Self::Subscriptions => "r.changed_at",
            Self::Cancellations => "r.cancelled_at",
            Self::Consents => "r.since",
            Self::Deliveries | Self::Rejected => "r.received_at",
        }
    }

    /// What the relation itself breaks ties by.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Deliveries => "r.seq",
            _ => "r.id",
        }
    }

    /// The index that holds the order of the list.
    pub(super) const fn walk(self) -> &'static str {
        match self {
            Self::Events => "events_at",
            Self::Users => "users_seen",
            Self::Subscriptions => "subscriptions_changed",
            Self::Cancellations => "cancellations_at",
            Self::Consents => "consents_since",
            Self::Changes => "consent_changes_at",
            Self::Payments => "payments_at",
            Self::Deliveries => "deliveries_received",
            Self::Rejected => "rejected_at",
        }
    }

    /// The index that finds the rows of one reader.
    pub(super) const fn of_reader(self) -> Option<&'static str> {
        match self {
            Self::Events => Some("indexed by events_user"),
            Self::Subscriptions => Some("indexed by subscriptions_user"),
            Self::Changes => Some("indexed by consent_changes_user"),
            Self::Payments => Some("indexed by payments_user"),
            // The primary keys of these begin with the reader.
            Self::Users | Self::Consents => Some(""),
            Self::Cancellations | Self::Deliveries | Self::Rejected => None,
        }
    }

    /// The index that finds the rows of one account, in no order; those of events and deliveries have the list's.
    pub(super) const fn of_account(self) -> Option<&'static str> {
        match self {
            Self::Users => Some("indexed by sqlite_autoindex_users_1"),
            Self::Subscriptions => Some("indexed by subscriptions_user"),
            Self::Cancellations => Some("indexed by cancellations_subscription"),
            Self::Changes => Some("indexed by consent_changes_user"),
            Self::Payments => Some("indexed by payments_user"),
            // Its primary key begins with the account.
            Self::Consents => Some("not indexed"),
            Self::Events | Self::Deliveries | Self::Rejected => None,
        }
    }

    /// How many ids a delivery's seq spans here, where ids are made from it.
    pub(super) const fn ids_per_seq(self) -> Option<i64> {
        match self {
            Self::Events | Self::Users | Self::Subscriptions | Self::Payments => Some(10_000),
            Self::Changes => Some(100_000_000),
            Self::Deliveries => Some(1),
            // Not all of these are numbered by the event that made them.
            Self::Consents | Self::Cancellations | Self::Rejected => None,
        }
    }
}

/// Columns and joins that turn `k(sort, id)` into rows of `list`. `light` leaves out what screens do not show in
/// lists: headers, bodies, hashes.
pub(super) fn projection(list: List, light: bool) -> String {
    let exprs: Vec<String> = columns(list)
        .iter()
        .map(|column| expr(list, column.name, light))
        .collect();
    format!(
        "select k.sort, k.id, {} from k {}",
        exprs.join(", "),
        joins(list)
    )
}

const BY_KEY: &str = "left join users u on u.provider = r.provider and u.account = r.account \
                      and u.user_id = r.user_id";

fn joins(list: List) -> String {
    let row = match list {
        List::Deliveries => {
            return "left join deliveries r on k.id > 0 and r.seq = k.id \
                    left join rejected t on k.id < 0 and t.id = -k.id"
                .to_owned();
        }
        List::Consents => "cross join consents r on r.since = k.sort and r.id = k.id".to_owned(),
        _ => format!(
            "cross join {} r on r.id = k.id",
            Source::of(list)[0].table()
        ),
    };
    let reader = match list {
        List::Users => "",
        List::Events | List::Subscriptions | List::Payments => {
            "left join users u on u.id = r.users_id"
        }
        _ => BY_KEY,
    };
    format!("{row} {reader}")
}

fn expr(list: List, name: &str, light: bool) -> String {
    match (list, name) {
        (List::Deliveries, "headers" | "body" | "salt" | "commitment" | "link") if light => {
            "null".to_owned()
        }
        (
            List::Deliveries,
            "received_at" | "provider" | "hook" | "reason" | "remote_ip" | "headers" | "body"
            | "body_bytes",
        ) => format!("iif(k.id > 0, r.{name}, t.{name})"),
        (List::Deliveries, "outcome") => "iif(k.id > 0, r.outcome, 'rejected')".to_owned(),
        (List::Deliveries, "test") => "iif(k.id > 0, r.test, 0)".to_owned(),
        (List::Deliveries, "id") => "abs(k.id)".to_owned(),
        (List::Users, "who") => "coalesce(r.name, r.email, r.phone, r.user_id)".to_owned(),
        (List::Events, "who") => "coalesce(r.name, u.name, r.email, u.email, r.phone, u.phone, \
                                  r.user_id)"
            .to_owned(),
        (List::Cancellations, "who") => {
            "coalesce(r.name, u.name, r.email, u.email, u.phone, r.user_id)".to_owned()
        }
        (_, "who") => "coalesce(u.name, u.email, u.phone, r.user_id)".to_owned(),
        _ => format!("r.{name}"),
    }
}
