//! `send`: correctly signed samples, marked as tests, to the running receiver, as the provider would send them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::cli::args::{Corrupt, SendArgs};
use crate::cli::context::{Context, provider};
use crate::cli::failure::Failure;
use crate::cli::links::{near, tail};
use crate::cli::out::Out;
use crate::cli::running;
use crate::cli::table::{Format, Head, Sheet};
use crate::config::{Secret, Settings, read};
use crate::domain::count::in_words;
use crate::domain::page::Cell;
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::providers::{Provider, Sample};

/// An answer that takes longer is none.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 4 << 10;

/// Sends, or lists what could be sent.
pub fn run(context: &Context, args: &SendArgs, out: &mut Out) -> Result<()> {
    let provider = provider(&args.provider)?;
    if args.list {
        return list(context, provider, out);
    }
    let settings = context.account(provider.id())?;
    let samples = chosen(provider, args)?;
    let listen = near(running::listen(context));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let mut report = Report::new(context, out)?;
    let failed = runtime.block_on(async {
        let sender = Sender {
            context,
            provider,
            settings,
            listen,
            corrupt: args.corrupt,
        };
        tokio::select! {
            done = sender.send_all(&samples, args, &mut report) => done,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted().into()),
        }
    })?;
    report.end()?;
    if failed > 0 {
        let answers = in_words(failed, "answer was", "answers were");
        return Err(Failure::failed(format!("{answers} not 200")).into());
    }
    Ok(())
}

fn list(context: &Context, provider: &dyn Provider, out: &mut Out) -> Result<()> {
    let heads = [("sample", "Sample"), ("hook", "Hook"), ("bytes", "Bytes")]
        .map(Head::titled)
        .to_vec();
    let mut sheet = Sheet::new(out, context.format(None), heads, Zone::UTC)?;
    for sample in provider.samples() {
        sheet.row(&[
            Cell::Text(sample.name.to_owned()),
            Cell::Text(sample.hook.to_owned()),
            Cell::Int(i64::try_from(sample.body.len()).unwrap_or(i64::MAX)),
        ])?;
    }
    sheet.end()?;
    Ok(())
}

/// The samples that were asked for: by name, else all of a hook, else the first.
fn chosen(provider: &dyn Provider, args: &SendArgs) -> Result<Vec<Sample>> {
    let samples = provider.samples();
    if args.all {
        return Ok(samples.to_vec());
    }
    let Some(what) = args.what.as_deref() else {
        return Ok(samples.iter().take(1).copied().collect());
    };
    if let Some(sample) = samples.iter().find(|sample| sample.name == what) {
        return Ok(vec![*sample]);
    }
    let of_hook: Vec<Sample> = samples
        .iter()
        .filter(|sample| sample.hook == what)
        .copied()
        .collect();
    if !of_hook.is_empty() {
        return Ok(of_hook);
    }
    let id = provider.id();
    let words = samples.iter().flat_map(|sample| [sample.name, sample.hook]);
    let hint = match read::nearest(what, words) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`subledger send {id} --list` shows them"),
    };
    let what = Printable::line(what);
    Err(Failure::usage(format!("{id} has no sample and no hook `{what}`: {hint}")).into())
}

/// What the receiver says.
#[derive(Debug, Default, Deserialize)]
struct Said {
    status: Option<String>,
    error: Option<String>,
    seq: Option<i64>,
}

struct Answer {
    status: u16,
    said: Said,
}

struct Sender<'a> {
    context: &'a Context,
    provider: &'static dyn Provider,
    settings: &'a Settings,
    listen: SocketAddr,
    corrupt: Option<Corrupt>,
}

impl Sender<'_> {
    /// The number of answers that were not 200.
    async fn send_all(
        &self,
        samples: &[Sample],
        args: &SendArgs,
        report: &mut Report<'_>,
    ) -> Result<u64> {
        let mut failed = 0;
        let mut pace = match args.rate {
            Some(rate) if rate > 0.0 && rate.is_finite() => {
                let mut pace =
                    tokio::time::interval(Duration::from_secs_f64((1.0 / rate).min(3600.0)));
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                Some(pace)
            }
            Some(_) => return Err(Failure::usage("--rate wants a number greater than 0").into()),
            None => None,
        };
        for _ in 0..args.count {
            for sample in samples {
                if let Some(pace) = &mut pace {
                    pace.tick().await;
                }
                let answer = self.send(sample).await?;
                failed += u64::from(answer.status != 200);
                report.answer(self, sample, &answer)?;
            }
        }
        Ok(failed)
    }

    async fn send(&self, sample: &Sample) -> Result<Answer> {
        let request = self.request(sample)?;
        let exchange = async {
            let stream = tokio::net::TcpStream::connect(self.listen)
                .await
                .map_err(|error| self.nobody(&error))?;
            let gone = |error: hyper::Error| self.gone(&error);
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
            let connection = tokio::spawn(connection);
            let response = sender.send_request(request).await.map_err(gone)?;
            let status = response.status().as_u16();
            let body = response
                .into_body()
                .collect()
                .await
                .map_err(gone)?
                .to_bytes();
            connection.abort();
            let cut = &body[..body.len().min(ANSWER_BYTES_MAX)];
            let said = serde_json::from_slice(cut).unwrap_or_default();
            anyhow::Ok(Answer { status, said })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| {
                let listen = self.listen;
                Failure::unreachable(format!("the receiver at {listen} did not answer in 30 s"))
            })?
    }

    fn nobody(&self, error: &std::io::Error) -> Failure {
        let listen = self.listen;
        Failure::unreachable(format!(
            "no receiver answers at {listen} ({error}): start one with `subledger serve`"
        ))
    }

    fn gone(&self, error: &hyper::Error) -> Failure {
        let listen = self.listen;
        Failure::unreachable(format!(
            "the receiver at {listen} went away before it answered ({error}): that one may be kept or not"
        ))
    }

    fn request(&self, sample: &Sample) -> Result<hyper::Request<Full<Bytes>>> {
        let body = match self.corrupt {
            // Cut in the middle, JSON is none.
            Some(Corrupt::Body) => format!("{{\"cut\": {}", &sample.body[..cut_at(sample.body)]),
            _ => sample.body.to_owned(),
        };
        let mut signed =
            self.provider
                .sign(self.settings, body.as_bytes(), self.context.clock.now());
        let mut path = tail(self.settings, sample.hook);
        if self.corrupt == Some(Corrupt::Signature) {
            if signed.is_empty() {
                path = tail(&without_right_key(self.settings), sample.hook);
            }
            for (_, value) in &mut signed {
                *value = spoilt(value);
            }
        }
        let mut request = hyper::Request::post(path)
            .header("host", self.listen.to_string())
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("subledger-send/", env!("CARGO_PKG_VERSION")),
            )
            .header("subledger-test", "1");
        for (name, value) in signed {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(body)))
            .context("a credential of the settings cannot stand in a header")
    }
}

/// The last border of a character in the first half.
fn cut_at(text: &str) -> usize {
    (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// The settings with a path key that opens nothing.
fn without_right_key(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    settings
        .secrets
        .insert("path_key".to_owned(), vec![Secret::new("k_wrong")]);
    settings
}

/// The value with its middle letter changed: a signature of the same form that is wrong.
fn spoilt(value: &str) -> String {
    let middle = value.len() / 2;
    value
        .char_indices()
        .map(|(at, c)| match c {
            _ if at != middle => c,
            '0'..='8' | 'a'..='e' | 'A'..='Y' => char::from_u32(u32::from(c) + 1).unwrap_or('0'),
            _ => 'A',
        })
        .collect()
}

/// One line or row for each answer, as it comes.
enum Report<'o> {
    Lines(&'o mut Out),
    Rows(Sheet<'o>),
}

impl<'o> Report<'o> {
    fn new(context: &Context, out: &'o mut Out) -> Result<Self> {
        let format = context.format(None);
        if format == Format::Table {
            return Ok(Self::Lines(out));
        }
        let names = [
            ("provider", "Provider"),
            ("account", "Account"),
            ("hook", "Hook"),
            ("sample", "Sample"),
            ("status", "Status"),
            ("answer", "Answer"),
            ("seq", "Delivery"),
        ];
        let heads = names.map(Head::titled).to_vec();
        Ok(Self::Rows(Sheet::new(out, format, heads, Zone::UTC)?))
    }

    fn answer(&mut self, sender: &Sender<'_>, sample: &Sample, answer: &Answer) -> Result<()> {
        let said = answer
            .said
            .status
            .as_deref()
            .or(answer.said.error.as_deref())
            .unwrap_or("");
        match self {
            Self::Lines(out) => {
                let seq = answer
                    .said
                    .seq
                    .map_or_else(String::new, |seq| format!(" as {seq}"));
                let id = sender.provider.id();
                let said = Printable::line(said);
                out.line(format!(
                    "{} {said}{seq}: {id} {}",
                    answer.status, sample.name
                ))?;
                out.flush()?;
            }
            Self::Rows(sheet) => sheet.row(&[
                Cell::Text(sender.provider.id().to_owned()),
                Cell::Text(sender.settings.account.clone()),
                Cell::Text(sample.hook.to_owned()),
                Cell::Text(sample.name.to_owned()),
                Cell::Int(answer.status.into()),
                Cell::Text(said.to_owned()),
                answer.said.seq.map_or(Cell::Null, Cell::Int),
            ])?,
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        match self {
            Self::Lines(out) => out.flush()?,
            Self::Rows(sheet) => {
                sheet.end()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoilt_signature_keeps_its_form_and_is_another() {
        for value in ["v1,K5oZ+/=", "00ff", "Basic dTpw"] {
            let other = spoilt(value);
            assert_ne!(other, value);
            assert_eq!(other.len(), value.len());
        }
    }

    #[test]
    fn half_a_body_ends_on_a_character() {
        assert_eq!(cut_at("aé"), 1);
        assert_eq!(cut_at(""), 0);
    }
}
