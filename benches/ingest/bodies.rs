//! What is sent: webhooks of all four providers as a year of them comes, and payments of 1 KB; each in a file of whole
//! requests, signed just before it is sent.
//!
//! A record of the file is the length of a request in eight digits and then the request as it goes over the wire, so
//! that a load generator spends nothing on making it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use subledger::config::{Secret, Settings};
use subledger::demo::{ACCOUNTS, Demo};
use subledger::domain::time::Clock;
use subledger::providers;

/// Readers of the payments.
const READERS: u64 = 20_000;
/// Bodies that stand for all of a file where a rival cannot be sent the file itself.
const SAMPLES: usize = 64;
/// Digits of the length before each request.
pub(crate) const LENGTH_DIGITS: usize = 8;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    /// Of all four providers.
    Mixed,
    /// Payments of 1 KB.
    Payment,
}

impl Set {
    pub(crate) const ALL: [Self; 2] = [Self::Mixed, Self::Payment];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Payment => "payment",
        }
    }

    /// As it stands in the table.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Mixed => "webhooks of all four providers",
            Self::Payment => "payments of 1 KB",
        }
    }
}

/// One webhook as its provider sends it.
pub(crate) struct Post {
    provider: &'static str,
    account: &'static str,
    hook: &'static str,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// `count` webhooks of a set; another seed gives other ones.
pub(crate) fn posts(set: Set, seed: u64, count: u64) -> Box<dyn Iterator<Item = Post>> {
    match set {
        Set::Mixed => Box::new(mixed(seed, count)),
        Set::Payment => Box::new((0..count).map(move |number| Post {
            provider: "zotlo",
            account: "main",
            hook: "events",
            headers: Vec::new(),
            body: payment(seed * 100_000_000 + number),
        })),
    }
}

/// The year that ends now, without what is turned away.
fn mixed(seed: u64, count: u64) -> impl Iterator<Item = Post> {
    let count_usize = usize::try_from(count).expect("so many fit");
    // The beginning of a year is mostly readers who come in. Not every event is a webhook of its own, so this is enough.
    Demo::new(seed, count * 4, Clock::Machine.now())
        .filter(|posted| posted.rejected().is_none())
        .skip(count_usize)
        .take(count_usize)
        .map(|posted| Post {
            provider: posted.provider,
            account: posted.account,
            hook: posted.hook,
            headers: posted.headers,
            body: posted.body,
        })
}

/// A payment of about 1 KB, different for every number.
fn payment(number: u64) -> Vec<u8> {
    let filler = "x".repeat(222);
    format!(
        r#"{{"queue":{{"type":"TransactionInsert","eventType":"transaction","requestID":"r-{number}","createDate":{{"date":"2026-06-15 11:51:35.807000","timezone_type":3,"timezone":"UTC"}},"appId":1}},"parameters":{{"id":"{number}","payment_type":"subscription","original_transaction_id":"o-{reader}","transaction_id":"t-{number}","package_id":"monthly","team_id":22,"app_id":1,"status":"renewal","create_date":"2026-06-15 11:51:35","purchase_date":"2026-06-15 11:51:35","original_purchase_date":"2026-06-15 11:51:35","price":"129.00","currency":"TRY","country":"TR","expire_date":"2026-07-15 11:51:35","subscriber_id":"reader{reader}@example.org","credit_card":"41111111****1111","refund_price":null,"refund_date":null,"refund_reason":null,"is_refund":"0","provider_id":3,"provider_transaction_id":"{number}","comment":"{filler}","quantity":1}}}}"#,
        reader = number % READERS
    )
    .into_bytes()
}

/// What the receiver of a run knows of every account: path keys, and the secrets of the providers that sign.
pub(crate) fn settings() -> Vec<Settings> {
    let secrets = |provider| -> &[(&str, &str)] {
        match provider {
            "conscent" => &[
                ("api_key", "bench-user"),
                ("api_secret", "bench-password"),
                ("webhook_secret", "bench-webhook-secret"),
            ],
            "klustr" => &[("secret", "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2g=")],
            "expressconsent" => &[("secret", "bench-secret")],
            _ => &[],
        }
    };
    let accounts = ACCOUNTS.iter().map(|&(provider, account)| {
        let mut settings = Settings {
            provider: provider.to_owned(),
            account: account.to_owned(),
            ..Settings::default()
        };
        let mut know = |key: &str, secret: &str| {
            settings
                .secrets
                .insert(key.to_owned(), vec![Secret::new(secret)]);
        };
        know("path_key", &path_key(provider, account));
        for (key, secret) in secrets(provider) {
            know(key, secret);
        }
        if provider == "expressconsent" {
            let header = ("signature_header".to_owned(), "X-Signature".to_owned());
            settings.texts.extend([header]);
        }
        settings
    });
    accounts.collect()
}

/// The path key of an account.
pub(crate) fn path_key(provider: &str, account: &str) -> String {
    format!("k_bench_{provider}_{account}_bench")
}

/// Signs webhooks and writes them as requests.
struct Signer(Vec<Settings>);

impl Signer {
    fn request(&self, post: &Post) -> Vec<u8> {
        let known = |settings: &&Settings| {
            (settings.provider.as_str(), settings.account.as_str()) == (post.provider, post.account)
        };
        let settings = self.0.iter().find(known).expect("an account of ours");
        let provider = providers::ALL.iter().find(|one| one.id() == post.provider);
        let provider = provider.expect("a provider of ours");
        let signed = provider.sign(settings, &post.body, Clock::Machine.now());
        let is_signed = |name: &str| signed.iter().any(|(other, _)| other == name);
        let told = post.headers.iter().filter(|(name, _)| !is_signed(name));
        let mut head = format!(
            "POST /hooks/{}/{}/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nUser-Agent: bench\r\n",
            post.provider,
            post.hook,
            path_key(post.provider, post.account),
        );
        for (name, value) in signed.iter().chain(told) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = post.body.len().to_string();
        head.extend(["Content-Length: ", &length, "\r\n\r\n"]);
        let mut request = head.into_bytes();
        request.extend_from_slice(&post.body);
        request
    }
}

/// `count` requests of a set in memory.
pub(crate) fn requests(set: Set, seed: u64, count: u64) -> Vec<Vec<u8>> {
    let signer = Signer(settings());
    let posts = posts(set, seed, count);
    posts.map(|post| signer.request(&post)).collect()
}

/// A file of requests.
pub(crate) struct Requests {
    pub(crate) path: PathBuf,
    pub(crate) set: Set,
    pub(crate) count: u64,
    /// Of all bodies together.
    pub(crate) body_bytes: u64,
    /// Bodies from all over the file.
    pub(crate) samples: Vec<Vec<u8>>,
}

impl Requests {
    /// Writes `count` requests of `set` to a file in `folder`, down to the disk, so that its writing is over.
    pub(crate) fn write(folder: &Path, set: Set, seed: u64, count: u64) -> io::Result<Self> {
        let path = folder.join(format!("{}.requests", set.name()));
        let signer = Signer(settings());
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let mut requests = Self {
            path,
            set,
            count: 0,
            body_bytes: 0,
            samples: Vec::new(),
        };
        let every = (count / SAMPLES as u64).max(1);
        for post in posts(set, seed, count) {
            let request = signer.request(&post);
            write!(file, "{:0LENGTH_DIGITS$}", request.len())?;
            file.write_all(&request)?;
            requests.body_bytes += post.body.len() as u64;
            if requests.count.is_multiple_of(every) && requests.samples.len() < SAMPLES {
                requests.samples.push(post.body);
            }
            requests.count += 1;
        }
        file.into_inner()?.sync_all()?;
        Ok(requests)
    }

    /// Bytes of a body on average.
    pub(crate) fn body_bytes_each(&self) -> u64 {
        self.body_bytes / self.count.max(1)
    }

    pub(crate) fn open(&self) -> io::Result<Records> {
        let file = File::open(&self.path)?;
        Ok(Records(BufReader::with_capacity(1 << 20, file)))
    }
}

/// Requests out of a file, one after the other, from the beginning again at its end.
pub(crate) struct Records(BufReader<File>);

impl Records {
    pub(crate) fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut digits = [0; LENGTH_DIGITS];
        if self.0.read_exact(&mut digits).is_err() {
            self.0.seek(SeekFrom::Start(0))?;
            self.0.read_exact(&mut digits)?;
        }
        let digits = String::from_utf8_lossy(&digits);
        let length = digits.parse().map_err(io::Error::other)?;
        let mut request = vec![0; length];
        self.0.read_exact(&mut request)?;
        Ok(request)
    }

    /// The body of the next one.
    pub(crate) fn next_body(&mut self) -> io::Result<String> {
        let request = self.next()?;
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        let body = &request[end.map_or(0, |end| end + 4)..];
        Ok(String::from_utf8_lossy(body).into_owned())
    }
}
