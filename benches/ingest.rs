//! Durable deliveries per second through the whole receiver, beside what the machine could do at most.
//!
//! In one run: an axum handler on the same accept loop's library that stores nothing, SQLite alone at the same batch
//! size (one table, same engine settings, same bodies), and subledger at 1, 16, 64 and 256 connections, with
//! verification, chain and duplicate decision on; then the time until everything is folded. Figures of DESIGN.md
//! section 13 are ratios within one run. `SECONDS=n cargo bench --bench ingest` takes n seconds per row (default 3).

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use subledger::config::{Secret, Settings};
use subledger::domain::time::{Clock, Zone};
use subledger::providers::{self, door};
use subledger::receiver::limits::Limits;
use subledger::receiver::peer::Proxies;
use subledger::receiver::{Live, ReloadHandle, Setup};
use subledger::store::writer::{Options, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATH_KEY: &str = "k_bench_bench_bench_bench";

/// One row of the table.
struct Figure {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

fn seconds() -> u64 {
    std::env::var("SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3)
}

/// A payment of about 1 KB, different for every number.
fn body(number: u64) -> Vec<u8> {
    let filler = "x".repeat(222);
    format!(
        r#"{{"queue":{{"type":"TransactionInsert","eventType":"transaction","requestID":"r-{number}","createDate":{{"date":"2026-06-15 11:51:35.807000","timezone_type":3,"timezone":"UTC"}},"appId":1}},"parameters":{{"id":"{number}","payment_type":"subscription","original_transaction_id":"o-{reader}","transaction_id":"t-{number}","package_id":"monthly","team_id":22,"app_id":1,"status":"renewal","create_date":"2026-06-15 11:51:35","purchase_date":"2026-06-15 11:51:35","original_purchase_date":"2026-06-15 11:51:35","price":"129.00","currency":"TRY","country":"TR","expire_date":"2026-07-15 11:51:35","subscriber_id":"reader{reader}@example.org","credit_card":"41111111****1111","refund_price":null,"refund_date":null,"refund_reason":null,"is_refund":"0","provider_id":3,"provider_transaction_id":"{number}","comment":"{filler}","quantity":1}}}}"#,
        reader = number % 20_000
    )
    .into_bytes()
}

fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// Reads one answer with a Content-Length; whether it was a 200.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    buffer.clear();
    let mut chunk = [0_u8; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer.extend_from_slice(&chunk[..read]);
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if buffer.len() >= end + 4 + length {
            return Ok(head.starts_with("http/1.1 200"));
        }
    }
}

/// `connections` senders, each waiting for its answer, for the time of one row.
async fn load(
    addr: SocketAddr,
    path: &'static str,
    connections: usize,
    next: &Arc<AtomicU64>,
) -> Figure {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let mut senders = Vec::new();
    for _ in 0..connections {
        let (stop, next) = (Arc::clone(&stop), Arc::clone(next));
        senders.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(addr)
                .await
                .expect("the receiver listens");
            stream.set_nodelay(true).expect("a TCP socket");
            let mut took = Vec::new();
            let mut buffer = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let bytes = request(path, &body(next.fetch_add(1, Ordering::Relaxed)));
                let sent = Instant::now();
                stream.write_all(&bytes).await.expect("the receiver reads");
                assert!(
                    answer(&mut stream, &mut buffer).await.expect("an answer"),
                    "not a 200"
                );
                took.push(sent.elapsed());
            }
            took
        }));
    }
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for sender in senders {
        all.extend(sender.await.expect("a sender"));
    }
    let elapsed = begun.elapsed();
    all.sort_unstable();
    let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Figure {
        per_second: all.len() as f64 / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    }
}

fn print(name: &str, figure: &Figure) {
    println!(
        "{name:<46} {:>10.0}/s   p50 {:>8.2} ms   p99 {:>8.2} ms",
        figure.per_second,
        figure.p50.as_secs_f64() * 1e3,
        figure.p99.as_secs_f64() * 1e3
    );
}

async fn nothing_stored(next: &Arc<AtomicU64>) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let app = Router::new().route(
        "/hook",
        post(|bytes: axum::body::Bytes| async move { format!("{}", bytes.len()) }),
    );
    tokio::spawn(async move {
        let service = hyper_util::service::TowerToHyperService::new(app);
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = service.clone();
            tokio::spawn(async move {
                let io = hyper_util::rt::TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(io, service)
                    .await;
            });
        }
    });
    let figure = load(addr, "/hook", 64, next).await;
    print("axum that stores nothing, 64 connections", &figure);
    figure.per_second
}

/// Rows of the same bodies into one table, 64 to a commit, with the same engine settings.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine by itself, without the store"
)]
fn sqlite_alone(folder: &Path) -> f64 {
    let mut conn = rusqlite::Connection::open(folder.join("alone.db")).expect("a database");
    conn.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; create table bodies (seq integer primary key, body text);",
    )
    .expect("a table");
    let (begun, mut rows) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(seconds()) {
        let tx = conn.transaction().expect("a transaction");
        {
            let mut insert = tx
                .prepare_cached("insert into bodies (body) values (?1)")
                .expect("a statement");
            for _ in 0..64 {
                rows += 1;
                insert
                    .execute([String::from_utf8_lossy(&body(rows))])
                    .expect("a row");
            }
        }
        tx.commit().expect("a commit");
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = rows as f64 / begun.elapsed().as_secs_f64();
    println!("{:<46} {rate:>10.0}/s", "SQLite alone, 64 rows a commit");
    rate
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("subledger.db")
}

/// Bytes on disk per delivery, all tables and indexes.
fn print_size(path: &Path, deliveries: i64) {
    let bytes = std::fs::metadata(path).expect("a ledger").len();
    let count = u64::try_from(deliveries).expect("a count");
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let each = bytes as f64 / count.max(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let times = each / body(1_000_000).len() as f64;
    println!(
        "{:<46} {each:>10.0} bytes each, {times:.2} times the body (promised: under 2.2 at 1 KB)",
        "on disk"
    );
}

async fn subledger_rows(folder: &Path, next: &Arc<AtomicU64>) -> Vec<(usize, Figure)> {
    let store = Store::open(
        &path_of(folder),
        Options {
            read: Arc::new(door::read),
            zone: Zone::UTC,
            clock: Clock::Machine,
            listen: String::new(),
        },
    )
    .expect("a new ledger");
    let mut settings = Settings {
        provider: "zotlo".to_owned(),
        account: "main".to_owned(),
        ..Settings::default()
    };
    settings
        .secrets
        .insert("path_key".to_owned(), vec![Secret::new(PATH_KEY)]);
    let doors =
        providers::door::Doors::open(&[settings], store.fingerprint_key()).expect("good settings");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let live = Live {
        doors: Arc::new(doors),
        trusted_proxies: Proxies::default(),
        limits: Limits::default(),
        metrics: false,
    };
    let setup = Setup {
        live: ReloadHandle::new(live),
        writer: store.writer(),
        clock: Clock::Machine,
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(subledger::receiver::serve(listener, setup, async move {
        let _ = stopped.await;
    }));
    let path = "/hooks/zotlo/events/k_bench_bench_bench_bench";
    let mut rows = Vec::new();
    for connections in [1, 16, 64, 256] {
        let figure = load(addr, path, connections, next).await;
        print(&format!("subledger, {connections} connections"), &figure);
        rows.push((connections, figure));
    }
    let begun = Instant::now();
    while store.writer().health().folded_seq < store.writer().health().last_seq {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let health = store.writer().health();
    println!(
        "{:<46} {:>10} deliveries, all folded {:.1} s after the last",
        "then",
        health.last_seq,
        begun.elapsed().as_secs_f64()
    );
    let _ = stop.send(());
    let _ = serving.await;
    store.close().expect("a clean end");
    print_size(&path_of(folder), health.last_seq);
    rows
}

fn main() {
    let folder = tempfile::tempdir().expect("a place for files");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let next = Arc::new(AtomicU64::new(0));
    println!(
        "bodies of {} bytes, {} s a row",
        body(1_000_000).len(),
        seconds()
    );
    let ceiling = runtime.block_on(nothing_stored(&next));
    let alone = sqlite_alone(folder.path());
    let rows = runtime.block_on(subledger_rows(folder.path(), &next));
    println!("\nas parts of the same run:");
    for (connections, figure) in &rows {
        println!(
            "  {connections:>3} connections: {:>5.1} % of a handler that stores nothing, {:>5.1} % of SQLite alone",
            figure.per_second / ceiling * 100.0,
            figure.per_second / alone * 100.0
        );
    }
    println!(
        "promised: PostgreSQL's plain insert rate, and 6 times a hand-written FastAPI receiver (not run here)"
    );
}
