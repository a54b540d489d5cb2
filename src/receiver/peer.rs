//! Who calls: the peer of the connection, or whom trusted proxies say it speaks for.
//!
//! Anybody can write an `X-Forwarded-For`; it is believed only from the right, and only as far as trusted proxies
//! wrote it.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use crate::config::SettingsError;

/// Whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    loopback: bool,
    nets: Vec<IpNet>,
}

impl Proxies {
    /// Reads `receiver.trusted_proxies`: the word `loopback`, CIDRs and plain addresses. The error quotes the first
    /// that is none of these.
    pub fn parse(words: &[String]) -> Result<Self, SettingsError> {
        let mut proxies = Self::default();
        for word in words {
            if word == "loopback" {
                proxies.loopback = true;
            } else if let Ok(net) = word.parse::<IpNet>() {
                proxies.nets.push(net);
            } else if let Ok(ip) = word.parse::<IpAddr>() {
                proxies.nets.push(ip.into());
            } else {
                return Err(SettingsError(format!(
                    "trusted_proxies holds {word:?}: write \"loopback\", an address or a range such as \"10.0.0.0/8\""
                )));
            }
        }
        Ok(proxies)
    }

    /// Whether `ip` is one of them.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        (self.loopback && ip.is_loopback()) || self.nets.iter().any(|net| net.contains(&ip))
    }

    /// The right-most address that no trusted proxy wrote about itself: `peer` unless it is trusted; where an entry is
    /// no address, the last one that could be read.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut caller = peer.to_canonical();
        for value in headers.get_all("x-forwarded-for").iter().rev() {
            for entry in value.as_bytes().rsplit(|byte| *byte == b',') {
                if !self.trusts(caller) {
                    return caller;
                }
                match address(entry) {
                    Some(ip) => caller = ip,
                    None => return caller,
                }
            }
        }
        caller
    }
}

/// An address as proxies write it: with a port, in brackets, quoted.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|at| at.ip()))
        .map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_right_most_address_that_no_trusted_proxy_wrote() {
        let trusted = ["loopback", "10.0.0.0/8", "2001:db8::/32"].map(str::to_owned);
        let proxies = Proxies::parse(&trusted).unwrap();
        for (peer, headers, caller) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, 10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1", "10.1.2.3"], "198.51.100.1"),
            ("127.0.0.1", &["10.9.9.9,10.1.2.3"], "10.9.9.9"),
            ("::1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("::1", &["[2001:4860::1]:4711"], "2001:4860::1"),
            ("::1", &["[2001:4860::1]"], "2001:4860::1"),
            ("::1", &["\"2001:4860::1\""], "2001:4860::1"),
            ("::ffff:127.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("2001:db8::5", &["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["unknown, 10.1.2.3"], "10.1.2.3"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.1,"], "127.0.0.1"),
            ("127.0.0.1", &["999.1.1.1"], "127.0.0.1"),
        ] {
            let mut map = HeaderMap::new();
            for header in headers {
                map.append("x-forwarded-for", header.parse().unwrap());
            }
            let found = proxies.caller(peer.parse().unwrap(), &map);
            assert_eq!(found.to_string(), caller, "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_address_is_refused_by_name() {
        let error = Proxies::parse(&["lopback".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("\"lopback\""), "{error}");
    }
}
