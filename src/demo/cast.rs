//! The readers of the demo: who number so-and-so is, at which provider, on which plan.
//!
//! Imports providers' stories. A reader follows from seed and number alone, so none is ever kept.

use crate::demo::rng::Rng;
use crate::providers::{Happening, Persona, Plan};

/// Where a reader is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    Conscent,
    Klustr,
    ExpressConsent,
    Zotlo,
    ZotloWeekly,
}

/// Provider and account of everything in the demo.
pub const ACCOUNTS: [(&str, &str); 5] = [
    ("conscent", "main"),
    ("klustr", "main"),
    ("expressconsent", "main"),
    ("zotlo", "main"),
    ("zotlo", "weekly"),
];

impl Account {
    const fn pair(self) -> (&'static str, &'static str) {
        match self {
            Self::Conscent => ACCOUNTS[0],
            Self::Klustr => ACCOUNTS[1],
            Self::ExpressConsent => ACCOUNTS[2],
            Self::Zotlo => ACCOUNTS[3],
            Self::ZotloWeekly => ACCOUNTS[4],
        }
    }

    pub(super) const fn provider(self) -> &'static str {
        self.pair().0
    }

    pub(super) const fn name(self) -> &'static str {
        self.pair().1
    }

    /// How many events come of `what`, told here.
    pub(super) const fn events_of(self, what: &Happening) -> u64 {
        match (self, what) {
            (Self::Klustr, Happening::Registered)
            | (
                Self::Conscent | Self::Zotlo | Self::ZotloWeekly,
                Happening::TrialStarted { .. }
                | Happening::Started(_)
                | Happening::Renewed(_)
                | Happening::Recovered(_)
                | Happening::BoughtOnce { .. },
            ) => 2,
            _ => 1,
        }
    }
}

/// A reader, where they are known and what they would pay.
pub(super) struct Member {
    pub(super) who: Persona,
    pub(super) account: Account,
    pub(super) plan: Plan,
}

/// All readers there could be.
pub(super) struct Cast {
    seed: u64,
}

impl Cast {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Reader `number`. One in ten of those of Zotlo is the same person as the one before, under the same address.
    pub(super) fn member(&self, number: u64) -> Member {
        let mut rng = self.rng(number);
        let account = match rng.below(100) {
            0..=33 => Account::Conscent,
            34..=55 => Account::Klustr,
            56..=65 => Account::ExpressConsent,
            66..=89 => Account::Zotlo,
            _ => Account::ZotloWeekly,
        };
        let shared = account == Account::Zotlo && number > 0 && rng.chance(100);
        let face = if shared { number - 1 } else { number };
        let (mut who, region) = self.person(face);
        who.number = number;
        Member {
            who,
            account,
            plan: plan(account, region.currency, &mut rng),
        }
    }

    fn rng(&self, number: u64) -> Rng {
        Rng::new(self.seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn person(&self, number: u64) -> (Persona, &'static Region) {
        let mut rng = self.rng(number);
        rng.next();
        let shares: Vec<u64> = REGIONS.iter().map(|region| region.share).collect();
        let region = &REGIONS[rng.weighted(&shares)];
        let (given, handle) = region.given[rng.index(region.given.len())];
        let family = region.family[rng.index(region.family.len())];
        let name = if region.family_first {
            format!("{family} {given}")
        } else {
            format!("{given} {family}")
        };
        let persona = Persona {
            number,
            name,
            email: format!("{handle}.{number}@example.{}", region.domain),
            phone: format!("{}{:09}", region.prefix, 500_000_000 + number),
            country: region.country,
            city: region.cities[rng.index(region.cities.len())],
        };
        (persona, region)
    }
}

struct Region {
    country: &'static str,
    currency: &'static str,
    domain: &'static str,
    prefix: &'static str,
    share: u64,
    family_first: bool,
    cities: &'static [&'static str],
    given: &'static [(&'static str, &'static str)],
    family: &'static [&'static str],
}

const REGIONS: [Region; 9] = [
    Region {
        country: "TR",
        currency: "TRY",
        domain: "com",
        prefix: "90",
        share: 34,
        family_first: false,
        cities: &["İstanbul", "Ankara", "İzmir", "Eskişehir"],
        given: &[
            ("Ayşe", "ayse"),
            ("Mehmet", "mehmet"),
            ("Çağla", "cagla"),
            ("Emre", "emre"),
            ("Şule", "sule"),
            ("Oğuz", "oguz"),
            ("Zeynep 🌸", "zeynep"),
        ],
        family: &["Yılmaz", "Öztürk", "Işık", "Kaya", "Çelik", "Güneş"],
    },
    Region {
        country: "IN",
        currency: "INR",
        domain: "in",
        prefix: "91",
        share: 20,
        family_first: false,
        cities: &["Mumbai", "Pune", "Faridabad", "Chennai"],
        given: &[
            ("Asha", "asha"),
            ("Rohan", "rohan"),
            ("आरती", "aarti"),
            ("Vikram", "vikram"),
            ("Meera", "meera"),
        ],
        family: &["Sharma", "Iyer", "देशपांडे", "Nair", "Gupta"],
    },
    Region {
        country: "DE",
        currency: "EUR",
        domain: "de",
        prefix: "49",
        share: 14,
        family_first: false,
        cities: &["Hamburg", "Köln", "Leipzig"],
        given: &[
            ("Jörg", "joerg"),
            ("Anneliese", "anneliese"),
            ("Zoë", "zoe"),
            ("Uwe", "uwe"),
        ],
        family: &["Müller", "Groß", "von der Heyde", "Schäfer"],
    },
    Region {
        country: "FR",
        currency: "EUR",
        domain: "fr",
        prefix: "33",
        share: 6,
        family_first: false,
        cities: &["Lyon", "Nantes"],
        given: &[
            ("Chloé", "chloe"),
            ("François", "francois"),
            ("Maël", "mael"),
        ],
        family: &["Lefèvre", "d’Aubigné", "Noël"],
    },
    Region {
        country: "US",
        currency: "USD",
        domain: "net",
        prefix: "1",
        share: 10,
        family_first: false,
        cities: &["Portland", "Austin", "St. Louis"],
        given: &[
            ("Dana", "dana"),
            ("Miguel", "miguel"),
            ("Ruth", "ruth"),
            ("Sam 👩‍💻", "sam"),
        ],
        family: &["O'Neill", "Washington", "García-Reyes", "Lee"],
    },
    Region {
        country: "JP",
        currency: "JPY",
        domain: "jp",
        prefix: "81",
        share: 9,
        family_first: true,
        cities: &["大阪", "京都", "札幌"],
        given: &[
            ("花子", "hanako"),
            ("健太", "kenta"),
            ("さくら", "sakura"),
            ("太郎", "taro"),
        ],
        family: &["山田", "佐藤", "高橋", "齋藤"],
    },
    Region {
        country: "LB",
        currency: "USD",
        domain: "org",
        prefix: "961",
        share: 3,
        family_first: false,
        cities: &["بيروت", "طرابلس"],
        given: &[("أمل", "amal"), ("سمير", "samir"), ("ليلى", "layla")],
        family: &["حداد", "خوري", "منصور"],
    },
    Region {
        country: "IL",
        currency: "USD",
        domain: "org",
        prefix: "972",
        share: 2,
        family_first: false,
        cities: &["חיפה", "תל אביב"],
        given: &[("נועה", "noa"), ("אורי", "uri")],
        family: &["לוי", "מזרחי"],
    },
    Region {
        country: "KR",
        currency: "USD",
        domain: "net",
        prefix: "82",
        share: 2,
        family_first: true,
        cities: &["서울", "부산"],
        given: &[("지민", "jimin"), ("수연", "suyeon")],
        family: &["김", "박"],
    },
];

const fn priced(
    title: &'static str,
    price_minor: i64,
    currency: &'static str,
    months: u32,
) -> Plan {
    Plan {
        title,
        price_minor,
        currency,
        months,
    }
}

/// What each account sells, in each currency it takes; the first is for readers of another one.
const CONSCENT: [Plan; 7] = [
    priced("Digital", 29_900, "INR", 1),
    priced("Digital, a year", 299_000, "INR", 12),
    priced("Digital", 990, "EUR", 1),
    priced("Gold", 1_490, "EUR", 1),
    priced("デジタル版", 98_000, "JPY", 1),
    priced("All Access", 1_299, "USD", 1),
    priced("All Access, a year", 11_900, "USD", 12),
];
const ZOTLO: [Plan; 5] = [
    priced("gundem_aylik", 12_990, "TRY", 1),
    priced("gundem_aylik", 12_990, "TRY", 1),
    priced("gundem_yillik", 119_900, "TRY", 12),
    priced("monthly_eur", 799, "EUR", 1),
    priced("quarterly_usd", 2_499, "USD", 3),
];
const ZOTLO_WEEKLY: [Plan; 3] = [
    priced("haftalik_dergi", 7_490, "TRY", 1),
    priced("weekly_digital", 499, "EUR", 1),
    priced("weekly_digital_jp", 60_000, "JPY", 1),
];

fn plan(account: Account, currency: &str, rng: &mut Rng) -> Plan {
    let plans: &[Plan] = match account {
        Account::Zotlo => &ZOTLO,
        Account::ZotloWeekly => &ZOTLO_WEEKLY,
        _ => &CONSCENT,
    };
    let fitting: Vec<Plan> = plans
        .iter()
        .copied()
        .filter(|plan| plan.currency == currency)
        .collect();
    if fitting.is_empty() {
        return plans[0];
    }
    fitting[rng.index(fitting.len())]
}
