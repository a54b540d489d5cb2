//! A request written down so that people and dictionaries can: a line that says where it goes, headers, an empty line, the
//! body.
//!
//! ```text
//! full conscent events k_conscent_main_new 192.0.2.7
//! x-conscent-signature: 00ff
//!
//! {"event": ...}
//! ```

use subledger::domain::time::Timestamp;
use subledger::providers::Request;

/// A request, and which settings it meets.
pub(super) struct Posted {
    /// The first word.
    pub(super) house: String,
    /// The second.
    pub(super) provider: String,
    /// All else.
    pub(super) request: Request,
}

/// What `data` says; whatever is not there is empty.
pub(super) fn parse(data: &[u8], received_at: Timestamp) -> Posted {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let (house, provider, hook, path_key, remote_ip) = (word(), word(), word(), word(), word());
    let headers = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        Some((name, line[colon + 1..].to_vec()))
    });
    Posted {
        house,
        provider,
        request: Request {
            hook,
            path_key: (path_key != "-").then_some(path_key),
            headers: headers.collect(),
            body: body.to_vec(),
            received_at,
            remote_ip,
        },
    }
}
