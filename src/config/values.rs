//! The written forms of sizes, spans of time, addresses and networks. Pure.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

/// The largest body that may be allowed, bytes.
pub const BODY_BYTES_CEILING: usize = 64 << 20;

/// The smallest body limit that leaves room for a webhook, bytes.
pub const BODY_BYTES_FLOOR: usize = 1 << 10;

/// The smallest size that what is stored may be held to, bytes.
pub const STORE_BYTES_FLOOR: usize = 1 << 20;

/// What `expect_every` says of a provider that is never called quiet.
pub const NEVER: &str = "never";

/// Bytes written as `1MiB`, `512KiB`, `2MB`, `65536`. `None` if it is none of these.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    usize::try_from(number).ok()?.checked_mul(factor)
}

/// Milliseconds written as `90s`, `10m`, `2h`, `1d`; greater than nothing. `None` if it is none of these.
pub fn span_ms(text: &str) -> Option<i64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "s" => SECOND_MS,
        "m" | "min" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        _ => return None,
    };
    i64::try_from(number)
        .ok()?
        .checked_mul(factor)
        .filter(|ms| *ms > 0)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// An address to listen on: `127.0.0.1:8484`, `[::1]:8484`, `localhost:8484`.
pub fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

/// Whether `text` is a network, one address, or the word `loopback`.
pub fn is_network(text: &str) -> bool {
    text == "loopback" || text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok()
}

/// The start of public links: `https://host[:port][/prefix]` without a slash at the end. `None` if it is no such thing.
pub fn public_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split('/').next()?;
    let plain = !host.is_empty()
        && rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"'\\<>^`{|}?#@$!*();&".contains(&b));
    plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_read_with_their_units() {
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("64 KiB", 65_536),
            ("2mb", 2_000_000),
            ("9", 9),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for wrong in [
            "",
            "MiB",
            "1.5MiB",
            "-1",
            "1 parsec",
            "99999999999999999999",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        assert_eq!(span_ms("2h"), Some(2 * HOUR_MS));
        assert_eq!(span_ms("0s"), None);
        assert_eq!(span_ms("2 weeks"), None);
    }

    #[test]
    fn addresses_networks_and_urls_are_read() {
        assert_eq!(address("localhost:1"), address("127.0.0.1:1"));
        assert!(address("[::1]:8484").is_some());
        assert!(address("8484").is_none());
        for network in ["loopback", "10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(is_network(network), "{network}");
        }
        for wrong in ["", "here", "10.0.0.0/99", "10.0.0"] {
            assert!(!is_network(wrong), "{wrong}");
        }
        assert_eq!(
            public_url("https://a.example/in/").as_deref(),
            Some("https://a.example/in")
        );
        for wrong in [
            "",
            "ftp://a",
            "https://",
            "https://a b",
            "https://a?x",
            "https://a/$(id)",
        ] {
            assert_eq!(public_url(wrong), None, "{wrong}");
        }
    }
}
