//! `doctor --public`: calls the public address as the providers do, and tells what arrives and what does not.
//!
//! It stores deliveries that are marked as tests. Never follows a redirection, never tells the secret end of a link.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use sha2::{Digest as _, Sha256};

use crate::cli::address::{Address, is_private};
use crate::cli::context::{Context, provider};
use crate::cli::doctor::answer::{ANSWER_BYTES_MAX, Answer, Voice, without};
use crate::cli::doctor::{Finding, Findings, Level, certificate, look_at_receiver};
use crate::cli::failure::Failure;
use crate::cli::links::tail;
use crate::cli::out::Out;
use crate::cli::running;
use crate::config::Settings;
use crate::domain::count::in_words;
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::page::{Cell, List};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::providers::Provider;
use crate::receiver::hex;
use crate::store::query::{Detail, Reader, columns};

/// A name that takes longer to look up is none to a provider either.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection to each address, and for each step of the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole exchange. Providers wait for 5 to 30 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A provider that waits for 5 seconds would be near to giving up.
const SLOW: Duration = Duration::from_secs(2);
/// The receiver writes down what it turns away behind its answer.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(2);
/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;
/// A certificate with less left should have been renewed.
const RENEWAL_MS: i64 = 3 * DAY_MS;
/// Longer than the buffers that proxies give a body, bytes.
const BODY_BYTES: usize = 20 << 10;
/// From the addresses that are for documentation: nobody calls from there.
const FORGED: &str = "192.0.2.66";

/// What must not be reached from outside, with how it is called here.
const OTHER_PAGES: &[&str] = &["/", "/livez", "/readyz", "/metrics"];

/// Calls one hook of each account, or of those of `wanted`; exit code 1 if anything is bad.
pub fn run(context: &Context, wanted: Option<&str>, out: &mut Out) -> Result<()> {
    let address = Address::of(context)?;
    let accounts = chosen(context, wanted)?;
    out.say(format!("calling {} as the providers do", address.url))?;
    let mut findings = Findings::default();
    look_at_receiver(context, &mut findings);
    let mut stored = 0;
    if reaches(context, &address, &mut findings) {
        let caller = Caller {
            context,
            address: &address,
            ips: addresses(&address).unwrap_or_default(),
        };
        stored = caller.try_all(&accounts, &mut findings)?;
    }
    let written = findings.write(context.global.json, out);
    if stored > 0 {
        out.say(format!(
            "{stored} stored, marked as tests: `subledger tests clear` erases them"
        ))?;
    }
    written
}

type Account<'a> = (&'static dyn Provider, &'a Settings);

/// The accounts that were asked for.
fn chosen<'a>(context: &'a Context, wanted: Option<&str>) -> Result<Vec<Account<'a>>> {
    if let Some(id) = wanted {
        provider(id)?;
        context.account(id)?;
    }
    let account = context.global.account.as_deref();
    let accounts = context.config.accounts.iter();
    let chosen: Vec<Account<'a>> = accounts
        .filter(|settings| wanted.is_none_or(|id| settings.provider == id))
        .filter(|settings| account.is_none_or(|name| settings.account == name))
        .map(|settings| Ok((provider(&settings.provider)?, settings)))
        .collect::<Result<_>>()?;
    if chosen.is_empty() {
        let name = account.unwrap_or_default();
        return Err(Failure::usage(format!("no provider has an account {name:?}")).into());
    }
    Ok(chosen)
}

/// Whether a provider could come as far as a request: address, connection, certificate.
fn reaches(context: &Context, address: &Address, findings: &mut Findings) -> bool {
    if address.is_secure {
        findings.add("public address", Level::Ok, &address.url);
    } else {
        let says = format!(
            "{}: secret links cross the network in the clear; have the proxy serve https://",
            address.url
        );
        findings.add("public address", Level::Note, says);
    }
    let ips = match addresses(address) {
        Ok(ips) => ips,
        Err(says) => {
            findings.add("name", Level::Bad, says);
            return false;
        }
    };
    look_at_name(address, &ips, findings);
    let Some(stream) = connect(address, &ips, findings) else {
        return false;
    };
    !address.is_secure || look_at_certificate(context, address, stream, findings)
}

/// Every address of the host, each once.
fn addresses(address: &Address) -> Result<Vec<IpAddr>, String> {
    let host = address.host.clone();
    let nobody = |why: &dyn std::fmt::Display| {
        format!(
            "{} has no address ({why}): add it where the domain's names are kept, and wait until it is known; or this \
             machine has no network",
            address.host
        )
    };
    let (tell, told) = mpsc::channel();
    let port = address.port;
    // The system's resolver takes as long as it likes; the thread ends with the process.
    thread::spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        tell.send(found.map(Iterator::collect::<Vec<SocketAddr>>))
            .ok();
    });
    let found = told
        .recv_timeout(LOOKUP_TIMEOUT)
        .map_err(|_| nobody(&"the name servers did not answer in 10 s"))?
        .map_err(|error| nobody(&error))?;
    let mut ips: Vec<IpAddr> = Vec::new();
    for ip in found.iter().map(SocketAddr::ip) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips.truncate(ADDRESSES_MAX);
    if ips.is_empty() {
        return Err(nobody(&"the name servers know none"));
    }
    Ok(ips)
}

fn look_at_name(address: &Address, ips: &[IpAddr], findings: &mut Findings) {
    let list: Vec<String> = ips.iter().map(ToString::to_string).collect();
    let list = list.join(", ");
    let host = if list == address.host {
        "no name".to_owned()
    } else {
        address.host.clone()
    };
    if ips.iter().any(|ip| !is_private(*ip)) {
        return findings.add("name", Level::Ok, format!("{host}: {list}"));
    }
    let says = format!(
        "{host}: {list}, by which nobody outside can call; well only if this machine (/etc/hosts) or its network \
         answers otherwise than the world's name servers"
    );
    findings.add("name", Level::Note, says);
}

/// A connection to the first address that takes one; each that does not is a finding.
fn connect(address: &Address, ips: &[IpAddr], findings: &mut Findings) -> Option<TcpStream> {
    let mut first = None;
    let mut refused = Vec::new();
    for ip in ips {
        let at = SocketAddr::new(*ip, address.port);
        let began = Instant::now();
        match TcpStream::connect_timeout(&at, CONNECT_TIMEOUT) {
            Ok(stream) => {
                let says = format!("{at} in {} ms", began.elapsed().as_millis());
                findings.add("connection", Level::Ok, says);
                first = first.or(Some(stream));
            }
            Err(error) => refused.push((at, error)),
        }
    }
    for (at, error) in refused {
        let level = if first.is_some() && has_no_route(&error) {
            Level::Note
        } else {
            Level::Bad
        };
        findings.add("connection", level, unconnected(at, &error));
    }
    first
}

/// This machine lacks the kind of address, not the server.
fn has_no_route(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    )
}

fn unconnected(at: SocketAddr, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: does the proxy run, and is the port forwarded to it?".to_owned()
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "no answer in 5 s: a firewall, or a router that does not forward the port. A router at home may also not \
             let its own network call it from inside: then it works from outside; try from a telephone"
                .to_owned()
        }
        _ if has_no_route(error) && at.is_ipv6() => {
            "this machine has no IPv6 to try it by; providers may call it first".to_owned()
        }
        _ if has_no_route(error) => "this machine has no network".to_owned(),
        io::ErrorKind::HostUnreachable => {
            "no way leads there from this machine: is the address right?".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{at}: {why}")
}

fn look_at_certificate(
    context: &Context,
    address: &Address,
    stream: TcpStream,
    findings: &mut Findings,
) -> bool {
    let now = context.clock.now();
    stream.set_read_timeout(Some(CONNECT_TIMEOUT)).ok();
    stream.set_write_timeout(Some(CONNECT_TIMEOUT)).ok();
    let roots = certificate::public_roots();
    match certificate::look(stream, &address.host, roots, now) {
        Ok(trusted) => {
            let (level, says) = validity(trusted.until, now);
            findings.add("certificate", level, says);
            true
        }
        Err(fault) => {
            findings.add("certificate", Level::Bad, fault);
            false
        }
    }
}

fn validity(until: Option<Timestamp>, now: Timestamp) -> (Level, String) {
    let Some(until) = until else {
        return (Level::Ok, "valid".to_owned());
    };
    let left_ms = until.ms() - now.ms();
    let days = in_words(left_ms / DAY_MS, "day", "days");
    if left_ms < RENEWAL_MS {
        let says = format!("valid until {until}, {days}: see why the proxy has not renewed it");
        (Level::Note, says)
    } else {
        (Level::Ok, format!("valid until {until}, {days}"))
    }
}

/// Calls from here, as a provider would.
struct Caller<'a> {
    context: &'a Context,
    address: &'a Address,
    ips: Vec<IpAddr>,
}

/// How one webhook went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    Kept,
    Answered,
    /// Nobody said anything.
    Unanswered,
}

impl Caller<'_> {
    /// Everything that takes a request; the number of webhooks that were kept.
    fn try_all(&self, accounts: &[Account<'_>], findings: &mut Findings) -> Result<u64> {
        let mut stored = 0;
        for (provider, settings) in accounts {
            match self.try_account(*provider, settings, findings)? {
                Went::Kept => stored += 1,
                Went::Answered => {}
                Went::Unanswered => {
                    let says = "not tried: whoever does not answer once would not answer again";
                    findings.add("the rest", Level::Note, says);
                    return Ok(stored);
                }
            }
        }
        self.try_slash(accounts, findings);
        self.try_other_pages(findings);
        Ok(stored)
    }

    /// Sends one marked webhook and compares it with what was kept.
    fn try_account(
        &self,
        provider: &dyn Provider,
        settings: &Settings,
        findings: &mut Findings,
    ) -> Result<Went> {
        let Some(hook) = provider.hooks().first() else {
            return Ok(Went::Answered);
        };
        let who = if settings.account == MAIN_ACCOUNT {
            provider.id().to_owned()
        } else {
            format!("{}/{}", provider.id(), settings.account)
        };
        let body = odd_body()?;
        let link = tail(settings, hook.name);
        let headers = provider.sign(settings, &body, self.context.clock.now());
        let began = Instant::now();
        let answer = self.post(&link, headers, &body);
        let took = began.elapsed();
        let check = format!("{who} {}", hook.name);
        let kept = match &answer {
            Ok(answer) => match answer.voice() {
                Voice::Kept(seq) => Ok(seq),
                Voice::Ready | Voice::Ours | Voice::Other => {
                    Err(self.explain(answer, settings, &link, &body))
                }
            },
            Err(error) => Err((Level::Bad, unanswered(error, secret(&link)))),
        };
        let seq = match kept {
            Ok(seq) => seq,
            Err((level, says)) => {
                findings.add(&check, level, says);
                return Ok(match answer {
                    Ok(_) => Went::Answered,
                    Err(_) => Went::Unanswered,
                });
            }
        };
        let ms = took.as_millis();
        let (level, slow) = if took > SLOW {
            (Level::Note, ": slow, providers wait for a few seconds only")
        } else {
            (Level::Ok, "")
        };
        let says = format!("kept as {seq} in {ms} ms, connection and all{slow}");
        findings.add(&check, level, says);
        let kept = Reader::open(&self.context.database).and_then(|reader| reader.delivery(seq));
        match kept {
            Ok(kept) => self.compare(&who, seq, &body, kept.as_ref(), findings),
            Err(error) => findings.add(&format!("{who} body"), Level::Bad, error.to_string()),
        }
        Ok(Went::Kept)
    }

    fn post(
        &self,
        link: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut request = agent()
            .post(format!("{}{link}", self.address.url))
            .header("content-type", "application/json")
            .header("subledger-test", "1")
            .header("x-forwarded-for", FORGED);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        answer(request.send(body)?)
    }

    fn get(&self, path: &str) -> Result<Answer, ureq::Error> {
        let url = format!("{}{path}", self.address.url);
        answer(agent().get(url).call()?)
    }

    /// A failure with what else can be found out about it.
    fn explain(
        &self,
        answer: &Answer,
        settings: &Settings,
        link: &str,
        body: &[u8],
    ) -> (Level, String) {
        let secret = secret(link);
        let fault = answer.fault(self.address, secret);
        if answer.voice() != Voice::Other {
            return match answer.status {
                401 => self.refused(fault, settings, body),
                _ => (Level::Bad, fault),
            };
        }
        let comes_by_get = !secret.is_empty()
            && self
                .get(link)
                .is_ok_and(|answer| answer.voice() == Voice::Ready);
        let more = if comes_by_get {
            "; GET does reach the receiver, so it is POST that is held back"
        } else {
            ""
        };
        (Level::Bad, fault + more)
    }

    /// Why our own receiver turned it away.
    fn refused(&self, fault: String, settings: &Settings, body: &[u8]) -> (Level, String) {
        let sha256 = hex(&Sha256::digest(body));
        let refusal = Reader::open(&self.context.database)
            .ok()
            .and_then(|reader| {
                running::wait(REFUSAL_PATIENCE, || {
                    reader.refusal(&settings.provider, &sha256).ok().flatten()
                })
            });
        match refusal {
            Some((_, reason)) if reason.contains("allow_ips") => {
                let says = format!(
                    "reaches the receiver, which turns this machine away as it should: {reason}"
                );
                (Level::Note, says)
            }
            Some((id, reason)) => {
                let says = format!("{fault} `subledger rejected show {id}`: {reason}");
                (Level::Bad, says)
            }
            None => (Level::Bad, fault),
        }
    }

    /// What was kept under `seq`, beside what was sent.
    fn compare(
        &self,
        who: &str,
        seq: i64,
        sent: &[u8],
        kept: Option<&Detail>,
        findings: &mut Findings,
    ) {
        let check = format!("{who} body");
        let Some(kept) = kept else {
            let says = format!(
                "this ledger has no delivery {seq}: the address leads to another receiver than the one on {}",
                self.context.database.display()
            );
            return findings.add(&check, Level::Bad, says);
        };
        let body = kept.body.as_deref().unwrap_or_default();
        let (level, says) = sameness(sent, body, seq);
        findings.add(&check, level, says);
        if body.starts_with(nonce(sent)) {
            let is_test = matches!(cell(kept, "test"), Some(Cell::Int(1)));
            let (level, says) = mark(is_test, seq);
            findings.add(&format!("{who} mark"), level, says);
            let remote = cell(kept, "remote_ip").and_then(|cell| cell.as_text()?.parse().ok());
            let (level, says) = self.caller(remote);
            // The same for all of them, as a rule: said once.
            let is_said = |one: &Finding| one.check == "caller" && one.says == says;
            if !findings.0.iter().any(is_said) {
                findings.add("caller", level, says);
            }
        }
    }

    /// Whom the receiver took this machine for.
    fn caller(&self, remote: Option<IpAddr>) -> (Level, String) {
        let Some(remote) = remote else {
            return (Level::Note, "unknown".to_owned());
        };
        let is_far = self.ips.iter().any(|ip| !is_private(*ip));
        if remote.to_string() == FORGED {
            let says = format!(
                "seen as {FORGED}, which was made up: whoever calls can say who calls. Have the proxy write \
                 X-Forwarded-For itself (`subledger urls --proxy`); if none stands before the receiver: \
                 trusted_proxies = [] under [receiver]"
            );
            return (Level::Bad, says);
        }
        let is_own = self.ips.contains(&remote);
        if remote.is_loopback() && !is_own {
            let says = format!(
                "seen as {remote}, the proxy's own: it does not say who calls, so that all callers share one limit \
                 and allow_ips cannot work; have it write X-Forwarded-For (`subledger urls --proxy`)"
            );
            return (Level::Note, says);
        }
        if is_far && is_private(remote) {
            let says = format!(
                "seen as {remote}: if that is a proxy and not this machine, add it to receiver.trusted_proxies"
            );
            return (Level::Note, says);
        }
        (Level::Ok, format!("seen as {remote}"))
    }

    /// Some dashboards put a slash behind what is pasted.
    fn try_slash(&self, accounts: &[Account<'_>], findings: &mut Findings) {
        let link = accounts.iter().find_map(|(provider, settings)| {
            let link = tail(settings, provider.hooks().first()?.name);
            (!secret(&link).is_empty()).then_some(link)
        });
        let Some(link) = link else { return };
        let (level, says) = match self.get(&format!("{link}/")) {
            Ok(answer) if answer.voice() == Voice::Ready => (Level::Ok, "does no harm".to_owned()),
            Ok(answer) => (Level::Note, answer.fault(self.address, secret(&link))),
            Err(error) => (Level::Note, unanswered(&error, secret(&link))),
        };
        findings.add("slash at the end", level, says);
    }

    /// Nothing of the receiver but its hooks is the world's business.
    fn try_other_pages(&self, findings: &mut Findings) {
        let mut answered = Vec::new();
        let mut open = Vec::new();
        for page in OTHER_PAGES {
            match self.get(page) {
                Ok(answer) if answer.voice() == Voice::Other => {}
                Ok(answer) if answer.status == 200 && *page != "/livez" => open.push(*page),
                Ok(_) => answered.push(*page),
                Err(_) => {}
            }
        }
        let (level, says) = match (open.is_empty(), answered.is_empty()) {
            (true, true) => (Level::Ok, "not the receiver's".to_owned()),
            (true, false) => {
                let says = format!(
                    "{} reach the receiver, which shows nothing there: forward {}/hooks/* only (`subledger urls --proxy`)",
                    answered.join(", "),
                    self.address.prefix
                );
                (Level::Note, says)
            }
            (false, _) => {
                let says = format!(
                    "the receiver shows {} to everybody: forward {}/hooks/* only, and have the proxy write \
                     X-Forwarded-For (`subledger urls --proxy`)",
                    open.join(", "),
                    self.address.prefix
                );
                (Level::Bad, says)
            }
        };
        findings.add("other pages", level, says);
    }
}

/// A client as providers have them: no redirection followed, no proxy of this machine's environment used, no
/// connection kept.
pub(super) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent(concat!("subledger-doctor/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_TIMEOUT * 2))
        .timeout_global(Some(ANSWER_TIMEOUT))
        .build()
        .new_agent()
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let (parts, body) = response.into_parts();
    let location = parts.headers.get("location");
    let mut answer = Answer {
        status: parts.status.as_u16(),
        location: location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
        is_challenge: parts.headers.contains_key("cf-mitigated"),
        body: Vec::new(),
    };
    body.into_reader()
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer.body)?;
    Ok(answer)
}

/// Why no answer came.
fn unanswered(error: &ureq::Error, secret: &str) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            "no answer in 30 s: the proxy waits for a receiver that does not answer, or holds the body back"
                .to_owned()
        }
        ureq::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionAborted
            ) =>
        {
            "the connection is closed without an answer: by a firewall, or a proxy that fails; see its log".to_owned()
        }
        ureq::Error::Protocol(_) => {
            let says = without(&error.to_string(), secret);
            format!("what comes back is no HTTP ({says}): who listens there?")
        }
        error => {
            let says = without(&error.to_string(), secret);
            format!("no answer: {says}")
        }
    }
}

/// The secret end of a link; empty if it has none.
fn secret(link: &str) -> &str {
    link.split('/').nth(4).unwrap_or_default()
}

/// Bytes that a meddling proxy would change: every value there is, NUL and 0xff among them, every kind of line end,
/// UTF-8 and what looks like an escape, behind a line that no other delivery has.
fn odd_body() -> Result<Vec<u8>> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow!("the system has no random bytes: {error}"))?;
    let nonce = hex(&random);
    let mut body = format!(
        "subledger doctor --public {nonce}\r\n{{\"odd\": \"%2F%00+&=\\u0000 é € \u{1f600} \u{feff}\"}}\n\r\r\n"
    )
    .into_bytes();
    body.extend(
        (0..=u8::MAX)
            .cycle()
            .take(BODY_BYTES.saturating_sub(body.len())),
    );
    Ok(body)
}

/// The line that no other delivery has.
fn nonce(sent: &[u8]) -> &[u8] {
    let end = sent.iter().position(|byte| *byte == b'\r');
    &sent[..end.unwrap_or(sent.len())]
}

fn sameness(sent: &[u8], kept: &[u8], seq: i64) -> (Level, String) {
    let bytes = sent.len();
    if sent == kept {
        return (Level::Ok, format!("{bytes} odd bytes, unchanged"));
    }
    if !kept.starts_with(nonce(sent)) {
        let says = format!(
            "delivery {seq} of this ledger is another one, or changed from its first byte: the address leads to \
             another receiver, or the proxy rewrites bodies"
        );
        return (Level::Bad, says);
    }
    let same = sent.iter().zip(kept).take_while(|(a, b)| a == b).count();
    let says = format!(
        "changed on the way: of {bytes} bytes sent {} were kept, the first difference after {same}; signatures cannot \
         hold. Have the proxy pass bodies on as they are",
        kept.len()
    );
    (Level::Bad, says)
}

fn mark(is_test: bool, seq: i64) -> (Level, String) {
    if is_test {
        (Level::Ok, "arrived".to_owned())
    } else {
        let says = format!(
            "the header Subledger-Test did not arrive: the proxy drops headers that it does not know, signatures \
             among them. `subledger tests mark {seq}` takes this one out of the figures"
        );
        (Level::Bad, says)
    }
}

fn cell<'a>(detail: &'a Detail, name: &str) -> Option<&'a Cell> {
    let place = columns(List::Deliveries)
        .iter()
        .position(|column| column.name == name)?;
    detail.row.cells.get(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_body_is_odd_and_never_the_same() {
        let body = odd_body().unwrap();
        assert_eq!(body.len(), BODY_BYTES);
        for byte in 0..=u8::MAX {
            assert!(body.contains(&byte));
        }
        assert_ne!(nonce(&body), nonce(&odd_body().unwrap()));
        assert!(!nonce(&body).contains(&b'\r'));
    }

    #[test]
    fn a_changed_body_is_told_from_another_one() {
        let sent = odd_body().unwrap();
        assert_eq!(sameness(&sent, &sent, 1).0, Level::Ok);
        let (level, says) = sameness(&sent, &sent[..9_000], 1);
        assert_eq!(level, Level::Bad);
        assert!(
            says.contains("9000 were kept, the first difference after 9000"),
            "{says}"
        );
        let (level, says) = sameness(&sent, &odd_body().unwrap(), 7);
        assert_eq!(level, Level::Bad);
        assert!(says.contains("delivery 7"), "{says}");
    }

    #[test]
    fn the_secret_end_is_the_fourth_part() {
        assert_eq!(secret("/hooks/zotlo/events/k_1"), "k_1");
        assert_eq!(secret("/hooks/zotlo/events"), "");
    }

    #[test]
    fn a_certificate_near_its_end_is_worth_a_word() {
        let now = Timestamp::parse("2026-11-20T06:14:00Z").unwrap();
        let (level, says) = validity(Some(now.plus_ms(60 * DAY_MS)), now);
        assert_eq!(level, Level::Ok);
        assert!(says.ends_with("60 days"), "{says}");
        assert_eq!(validity(Some(now.plus_ms(DAY_MS)), now).0, Level::Note);
    }

    #[test]
    fn a_closed_port_and_a_silent_one_are_told_apart() {
        let at = "203.0.113.9:443".parse().unwrap();
        for (kind, says) in [
            (io::ErrorKind::ConnectionRefused, "nothing listens there"),
            (io::ErrorKind::TimedOut, "a firewall"),
            (io::ErrorKind::NetworkUnreachable, "no network"),
        ] {
            let text = unconnected(at, &io::Error::from(kind));
            assert!(text.contains(says), "{text}");
        }
    }
}
