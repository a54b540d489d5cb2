//! How long one delivery takes where they come at a steady pace, whether or not earlier ones were answered.
//!
//! A delivery's time runs from the moment at which it was due, so that one slow answer counts against those behind it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::disk;
use crate::load::whole_answer;

/// Deliveries per second.
pub(crate) const PER_SECOND: u32 = 100;
/// Connections that take turns, so that one waiting for its answer does not hold up the next.
const CONNECTIONS: usize = 8;
/// A sender sleeps until so long before it is due: the system wakes it up to this late.
const WAKE_EARLY: Duration = Duration::from_micros(400);
/// Syncs measured before and after.
const SYNCS: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
    pub(crate) count: usize,
    /// How late the senders themselves were at worst in 99 of 100: no fault of the receiver, and yet in its figures.
    pub(crate) sender_late_p99: Duration,
    /// The middle one of the syncs at the same pace, before and after.
    pub(crate) sync_p50: Duration,
}

impl Latency {
    /// p50 as parts of a sync.
    pub(crate) fn in_syncs(&self) -> f64 {
        self.p50.as_secs_f64() / self.sync_p50.as_secs_f64()
    }
}

/// Sends `requests` to `port` at that pace, and syncs a file in `folder` at it before and after.
pub(crate) fn measure(folder: &Path, port: u16, requests: &[Vec<u8>]) -> io::Result<Latency> {
    let every = Duration::from_secs(1) / PER_SECOND;
    let mut syncs = disk::syncs(folder, SYNCS, every)?;
    let first = Instant::now() + Duration::from_millis(50);
    let sent = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|place| {
                scope.spawn(move || {
                    let mine = requests.iter().zip(0_u32..).skip(place);
                    send(port, mine.step_by(CONNECTIONS), first, every)
                })
            })
            .collect();
        let sent = senders.into_iter();
        sent.map(|sender| sender.join().expect("it says what fails"))
            .collect::<io::Result<Vec<_>>>()
    })?;
    syncs.extend(disk::syncs(folder, SYNCS, every)?);
    let mut took: Vec<Duration> = sent.iter().flatten().map(|one| one.took).collect();
    let mut late: Vec<Duration> = sent.iter().flatten().map(|one| one.late).collect();
    for times in [&mut took, &mut late, &mut syncs] {
        times.sort_unstable();
    }
    let at = |times: &[Duration], part: usize| {
        let place = times.len() * part / 100;
        times.get(place).copied().unwrap_or_default()
    };
    Ok(Latency {
        p50: at(&took, 50),
        p99: at(&took, 99),
        worst: took.last().copied().unwrap_or_default(),
        count: took.len(),
        sender_late_p99: at(&late, 99),
        sync_p50: at(&syncs, 50),
    })
}

/// One answered delivery.
struct Sent {
    /// From when it was due to its answer.
    took: Duration,
    /// From when it was due until it was sent; where the connection was not free, from when it was.
    late: Duration,
}

fn send<'a>(
    port: u16,
    requests: impl Iterator<Item = (&'a Vec<u8>, u32)>,
    first: Instant,
    every: Duration,
) -> io::Result<Vec<Sent>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut all, mut answer) = (Vec::new(), Vec::new());
    for (request, number) in requests {
        let due = first + every * number;
        let free = Instant::now().max(due);
        let left = due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.saturating_sub(WAKE_EARLY));
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        let late = free.elapsed();
        stream.write_all(request)?;
        if !read_answer(&mut stream, &mut answer)? {
            let answer = String::from_utf8_lossy(&answer);
            return Err(io::Error::other(format!("not a 200: {answer}")));
        }
        let took = due.elapsed();
        all.push(Sent { took, late });
    }
    Ok(all)
}

/// Reads one answer: whether it is a 200.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<bool> {
    answer.clear();
    let mut chunk = [0_u8; 1024];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&chunk[..read]),
        }
        if let Some(is_good) = whole_answer(answer) {
            return Ok(is_good);
        }
    }
}
