//! Conscent's rules, one test each; the documented samples where `SUBLEDGER_SAMPLES` names their folder.

use super::*;
use crate::config::Secret;
use crate::domain::delivery::{Origin, ProviderId};
use crate::domain::money::MoneyFlag;
use crate::providers::Verdict;

const RECEIVED: &str = "2026-03-01T12:00:00.000Z";

fn received() -> Timestamp {
    Timestamp::parse(RECEIVED).unwrap()
}

fn delivery(hook: &str, body: &[u8]) -> Delivery {
    Delivery {
        provider: ProviderId::known("conscent"),
        account: "main".to_owned(),
        hook: hook.to_owned(),
        received_at: received(),
        headers: Vec::new(),
        body: body.to_vec(),
        credential: "path_key".to_owned(),
        identity_proof: None,
        remote_ip: "192.0.2.1".to_owned(),
        origin: Origin::Live,
        test: false,
    }
}

fn read(hook: &str, body: &str) -> Reading {
    Conscent.read(&delivery(hook, body.as_bytes()))
}

/// Reads a fixture and gives its events; it must be readable.
fn events(hook: &str, body: &str) -> Vec<Event> {
    let reading = read(hook, body);
    match reading.content {
        Content::Events(events) => events,
        Content::Unreadable(why) => panic!("{}: {why}", reading.label),
    }
}

fn types(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn subscription(event: &Event) -> &SubscriptionFacts {
    match &event.facts {
        Facts::Subscription(facts) => facts,
        other => panic!("no subscription: {other:?}"),
    }
}

fn payment(event: &Event) -> &PaymentFacts {
    match &event.facts {
        Facts::Payment(facts) => facts,
        other => panic!("no payment: {other:?}"),
    }
}

fn minor(money: Option<&Money>) -> Option<(i64, &str)> {
    let money = money?;
    Some((money.minor?, money.currency.as_str()))
}

fn unreadable(reading: &Reading) -> bool {
    matches!(reading.content, Content::Unreadable(_))
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/conscent/", $name, ".json"))
    };
}

mod documented {
    //! MAPPING.md part 1, line by line. The files are the provider's own examples, which are not ours to ship.

    use super::*;

    /// One line of the table.
    struct Line {
        file: &'static str,
        hook: &'static str,
        label: &'static str,
        types: &'static [&'static str],
        user: &'static str,
        subscriptions: &'static [&'static str],
        /// Of the one payment or refund.
        amount: Option<(i64, &'static str)>,
        net: Option<i64>,
        occurred: Option<&'static str>,
        /// `=` and a whole key, or the word before the hash of the body.
        key: &'static str,
    }

    const SHARED: &str = "7843y9xm44428xm24x2m0x2xm42";
    const BLOCKED: &str = "65e01bd8d03692125f1f353d";

    const fn engagement(
        file: &'static str,
        label: &'static str,
        types: &'static [&'static str],
        user: &'static str,
        occurred: &'static str,
    ) -> Line {
        Line {
            file,
            hook: "events",
            label,
            types,
            user,
            subscriptions: &[],
            amount: None,
            net: None,
            occurred: Some(occurred),
            key: label,
        }
    }

    #[rustfmt::skip]
    const TABLE: &[Line] = &[
        Line { file: "sign-up", hook: "sign-up", label: "sign-up", types: &["user.registered"], user: SHARED,
            subscriptions: &[], amount: None, net: None, occurred: None, key: "sign-up" },
        Line { file: "login", hook: "login", label: "login", types: &["user.signed_in"], user: SHARED,
            subscriptions: &[], amount: None, net: None, occurred: None, key: "login" },
        Line { file: "subscription-payment", hook: "subscription-payment", label: "subscription-payment",
            types: &["subscription.started", "payment.succeeded"], user: SHARED,
            subscriptions: &["61efb40a672c7f15840e803c", "61efb40a672c7f15840e803c"],
            amount: Some((30_000, "INR")), net: Some(28_950), occurred: Some("2021-12-15T11:19:30.914Z"),
            key: "=purchase:61b9cf42f5d1f54797aaf14f" },
        Line { file: "subscription-payment-2024", hook: "subscription-payment", label: "subscription-payment",
            types: &["subscription.started", "payment.succeeded"], user: "65d43ac1cc6cfa43c284a040",
            subscriptions: &["65d43ac1cc6cfa43c284a040:65c4e2f1f296fa057f3efa9a", "65d43ac1cc6cfa43c284a040:65c4e2f1f296fa057f3efa9a"],
            amount: Some((200_000, "INR")), net: Some(190_000), occurred: Some("2024-02-20T05:38:31.810Z"),
            key: "=purchase:65d43ad7cc6cfa43c284a06f" },
        Line { file: "subscription-cancelled", hook: "subscription-cancelled", label: "subscription-cancelled",
            types: &["subscription.cancelled"], user: SHARED, subscriptions: &["61efc865acb0d82962e2ad14"],
            amount: None, net: None, occurred: None, key: "subscription-cancelled" },
        Line { file: "pass-payment", hook: "pass-payment", label: "pass-payment",
            types: &["purchase.completed", "payment.succeeded"], user: "628b765e16d01ac4721e1676",
            subscriptions: &[], amount: Some((10_000, "INR")), net: Some(8_000),
            occurred: Some("2022-05-23T11:57:08.061Z"), key: "=purchase:628b76941ed3d9c772be2626" },
        Line { file: "micro-payment", hook: "micro-payment", label: "micro-payment",
            types: &["purchase.completed", "payment.succeeded"], user: "642ed4902107e35b19bf29fa",
            subscriptions: &[], amount: Some((9_900, "INR")), net: Some(7_920),
            occurred: Some("2023-04-13T07:23:16.829Z"), key: "=purchase:6437ade44c60bc0552ad3477" },
        Line { file: "subscription-bundle-payment", hook: "bundle-payment", label: "bundle-payment",
            types: &["purchase.completed", "payment.succeeded", "subscription.started", "subscription.started", "subscription.started"],
            user: "6345153cb9beaf3033c06838",
            subscriptions: &["6345155cb9beaf3033c0683c#0", "6345155cb9beaf3033c0683c#1", "6345155cb9beaf3033c0683c#2"],
            amount: Some((247_100, "INR")), net: Some(234_745), occurred: Some("2022-10-11T07:03:56.672Z"),
            key: "=purchase:6345155cb9beaf3033c0683c" },
        Line { file: "review-subscription", hook: "review-subscription", label: "review-subscription",
            types: &["checkout.reviewed"], user: "6345116cb9beaf3033c065cc", subscriptions: &[],
            amount: None, net: None, occurred: None, key: "review-subscription" },
        Line { file: "new-purchase-subscription", hook: "events", label: "purchase.subscription",
            types: &["subscription.started", "payment.succeeded"], user: "67a33080b06ceb81ad1a0962",
            subscriptions: &["67a33080b06ceb81ad1a0962:kuchbhi", "67a33080b06ceb81ad1a0962:kuchbhi"],
            amount: Some((12_000, "INR")), net: Some(10_800), occurred: Some("2025-02-05T09:37:44.508Z"),
            key: "=purchase:67a33168b06ceb81ad1a0dbf" },
        Line { file: "new-purchase-pass", hook: "events", label: "purchase.pass",
            types: &["purchase.completed", "payment.succeeded"], user: "65e01f76d03692125f1f355e",
            subscriptions: &[], amount: Some((300_000, "INR")), net: Some(240_000),
            occurred: Some("2024-02-29T06:26:34.010Z"), key: "=purchase:65e0239ad03692125f1f35c5" },
        Line { file: "new-refund-pay-per-use", hook: "events", label: "refunded.pay_per_use",
            types: &["payment.refunded"], user: "65dde318171dbd055b502de3", subscriptions: &[],
            amount: Some((-100, "INR")), net: None, occurred: Some("2024-02-29T06:20:29.000Z"),
            key: "=refund:65e0220ed03692125f1f3592" },
        Line { file: "new-refund-subscription", hook: "events", label: "refunded.subscription",
            types: &["payment.refunded"], user: "65e01719d03692125f1f323f", subscriptions: &[],
            amount: Some((-200, "INR")), net: None, occurred: Some("2024-02-29T06:31:03.000Z"),
            key: "=refund:65e0249ed03692125f1f3610" },
        Line { file: "new-cancelled-subscription", hook: "events", label: "cancelled.subscription",
            types: &["subscription.cancelled"], user: "65e026f7d03692125f1f36fa",
            subscriptions: &["65df2e5cd821380560e3c5c4"], amount: None, net: None,
            occurred: Some("2024-02-29T06:54:30.000Z"), key: "=cancel:65df2e5cd821380560e3c5c4:1709189670" },
        engagement("new-subscription-review-view", "subscription_review.view", &["checkout.reviewed"], "65e01719d03692125f1f323f", "2024-02-29T05:35:00.000Z"),
        engagement("new-sub-landing-page-click", "sub_landing_page.click", &["engagement.landing_page"], "65e800a2823acd057d66f897", "2024-03-06T05:38:20.000Z"),
        engagement("new-meter-banner-click", "meter_banner.click", &["engagement.meter"], BLOCKED, "2024-02-29T05:55:30.000Z"),
        engagement("new-meter-banner-close", "meter_banner.close", &["engagement.meter"], BLOCKED, "2024-02-29T05:55:26.000Z"),
        engagement("new-paywall-click", "paywall.click", &["engagement.paywall"], BLOCKED, "2024-02-29T05:57:20.000Z"),
        engagement("new-paywall-exit", "paywall.exit", &["engagement.paywall"], BLOCKED, "2024-02-29T05:56:52.000Z"),
    ];

    fn folder() -> Option<std::path::PathBuf> {
        std::env::var_os("SUBLEDGER_SAMPLES")
            .map(|path| std::path::Path::new(&path).join("conscent"))
    }

    fn body(file: &str) -> Option<String> {
        let path = folder()?.join(format!("{file}.json"));
        Some(std::fs::read_to_string(path).unwrap())
    }

    fn check(line: &Line, body: &str) {
        let file = line.file;
        let reading = read(line.hook, body);
        assert_eq!(reading.label, line.label, "{file}");
        let all = reading.events();
        assert_eq!(types(all), line.types, "{file}");
        for event in all {
            assert_eq!(event.subject.user_id.as_deref(), Some(line.user), "{file}");
            let at = event.occurred.at.map(|at| at.to_string());
            assert_eq!(at.as_deref(), line.occurred, "{file}");
            if event.kind.family() != "payment" {
                assert_eq!(event.money, None, "{file}");
            }
        }
        let ids: Vec<&str> = all
            .iter()
            .filter_map(|event| event.subscription_id.as_deref())
            .collect();
        assert_eq!(ids, line.subscriptions, "{file}");
        let paid = all.iter().find(|event| event.kind.family() == "payment");
        assert_eq!(
            minor(paid.and_then(|event| event.money.as_ref())),
            line.amount,
            "{file}"
        );
        let net = paid.and_then(|event| payment(event).net.as_ref()?.minor);
        assert_eq!(net, line.net, "{file}");
        let key = match line.key.strip_prefix('=') {
            Some(key) => key.to_owned(),
            None => format!("{}:{}", line.key, hex(&Sha256::digest(body))),
        };
        assert_eq!(reading.keys[0].key, key, "{file}");
        let policy = if line.occurred.is_some() { 2 } else { 3 };
        assert_eq!(reading.keys[0].rule.policy(), policy, "{file}");
    }

    #[test]
    fn every_line_of_the_table_holds() {
        if folder().is_none() {
            return;
        }
        let mut sum = 0;
        for line in TABLE {
            let body = body(line.file).unwrap();
            check(line, &body);
            sum += line.amount.map_or(0, |(minor, _)| minor);
        }
        assert_eq!(sum, 808_700);
        let files = std::fs::read_dir(folder().unwrap()).unwrap().count();
        assert_eq!(files, TABLE.len());
    }

    #[test]
    fn the_rows_named_in_the_table_are_told() {
        let Some(paid) = body("subscription-payment") else {
            return;
        };
        let paid = events("subscription-payment", &paid);
        let facts = subscription(&paid[0]);
        assert_eq!(paid[0].plan.as_deref(), Some("Subscription 5"));
        assert_eq!(facts.auto_renew, Some(true));
        assert_eq!(facts.interval.unwrap().count, 5);
        assert_eq!(facts.gateway_id.as_deref(), Some("sub_Inua2HuuV2lxLG"));
        assert_eq!(minor(facts.price.as_ref()), Some((30_000, "INR")));
        assert_eq!(
            facts.access_until.unwrap().to_string(),
            "2022-05-15T11:19:30.897Z"
        );
        assert_eq!(
            paid[0].subject.aliases,
            [(
                "61b9cefbf5d1f54797aaf149".to_owned(),
                "userAccount".to_owned()
            )]
        );

        let cancelled = events(
            "subscription-cancelled",
            &body("subscription-cancelled").unwrap(),
        );
        let facts = subscription(&cancelled[0]);
        assert_eq!(cancelled[0].plan.as_deref(), Some("Subscription 5"));
        assert_eq!(facts.interval.unwrap().count, 5);
        assert_eq!(
            facts.access_until.unwrap().to_string(),
            "2023-04-25T09:52:52.814Z"
        );
        assert_eq!(facts.gateway_id.as_deref(), Some("sub_InvqpVxG0vu7n8"));
        assert_eq!(minor(facts.price.as_ref()), Some((30_000, "INR")));
        assert_eq!(cancelled[0].subject.name.as_deref(), Some("john doe"));
        assert!(!facts.stub);

        let newer = events("events", &body("new-purchase-subscription").unwrap());
        let who = &newer[0].subject;
        assert_eq!(who.aliases[0].0, "67a3307bb06ceb81ad1a0945");
        assert_eq!(
            (who.name.as_deref(), who.city.as_deref()),
            (Some("ayush"), Some("faridabad"))
        );
        assert_eq!(subscription(&newer[0]).auto_renew, None);

        let stub = events("events", &body("new-cancelled-subscription").unwrap());
        let facts = subscription(&stub[0]);
        assert!(facts.stub);
        assert_eq!(minor(facts.price.as_ref()), Some((1326, "USD")));
        assert_eq!(facts.gateway_id.as_deref(), Some("I-VY5DHGTSMYUR"));

        let bundle = events(
            "bundle-payment",
            &body("subscription-bundle-payment").unwrap(),
        );
        let parts: Vec<_> = bundle[2..]
            .iter()
            .map(|part| {
                let facts = subscription(part);
                (
                    part.plan.as_deref().unwrap(),
                    minor(facts.price.as_ref()).unwrap().0,
                    facts.interval.unwrap().count,
                )
            })
            .collect();
        assert_eq!(
            parts,
            [
                ("Digital", 20_100, 12),
                ("Physical-Digital", 100_100, 1),
                ("Didi+Phy+Ad Free", 126_900, 1)
            ]
        );
    }

    #[test]
    fn the_proofs_named_in_the_table_are_found() {
        let Some(sign_up) = body("sign-up") else {
            return;
        };
        let review = body("review-subscription").unwrap();
        let secrets = [Secret::new("example-api-secret")];
        assert_eq!(
            identify(sign_up.as_bytes(), &secrets),
            IdentityProof::Unverifiable
        );
        assert_eq!(
            identify(review.as_bytes(), &secrets),
            IdentityProof::Mismatch
        );
        assert_eq!(
            identify(review.as_bytes(), &[]),
            IdentityProof::Unverifiable
        );
    }
}
