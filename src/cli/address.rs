//! The public address: `receiver.public_url` in its parts.

use std::net::IpAddr;

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// Where the world reaches the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As set, without a slash at the end.
    pub url: String,
    /// It is `https://`.
    pub is_secure: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// The port, named or by scheme.
    pub port: u16,
    /// The path before `/hooks`: empty, or `/in`.
    pub prefix: String,
}

impl Address {
    /// The one in the settings; without one, how to set it.
    pub fn of(context: &Context) -> Result<Self> {
        let Some(url) = context.config.receiver.public_url.as_deref() else {
            return Err(Failure::usage(
                "receiver.public_url is empty: \
                 subledger config set receiver.public_url https://your.address",
            )
            .into());
        };
        Self::parse(url).ok_or_else(|| {
            Failure::usage(format!(
                "receiver.public_url {url:?} names no host and port: write https://your.address"
            ))
            .into()
        })
    }

    /// The parts of `url`; `None` where host or port cannot be.
    pub fn parse(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let (is_secure, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(six) => {
                let (host, after) = six.split_once(']')?;
                (
                    host,
                    after
                        .strip_prefix(':')
                        .or(Some("").filter(|_| after.is_empty())),
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let port = match port? {
            "" if authority.ends_with(':') => return None,
            "" => [80, 443][usize::from(is_secure)],
            port => port.parse().ok().filter(|port| *port > 0)?,
        };
        (!host.is_empty()).then(|| Self {
            url: url.to_owned(),
            is_secure,
            host: host.to_ascii_lowercase(),
            port,
            prefix: prefix.to_owned(),
        })
    }

    /// The host as it stands in a URL: an IPv6 address in brackets.
    pub fn host_in_url(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }

    /// Whether the port is the one that the scheme means.
    pub fn has_own_port(&self) -> bool {
        self.port != [80, 443][usize::from(self.is_secure)]
    }
}

/// Whether `ip` is an address that only a private network knows.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_has_scheme_host_port_and_prefix() {
        for (url, is_secure, host, port, prefix) in [
            (
                "https://hooks.example.org",
                true,
                "hooks.example.org",
                443,
                "",
            ),
            (
                "http://Hooks.example.org/",
                false,
                "hooks.example.org",
                80,
                "",
            ),
            (
                "https://example.org:8443/in",
                true,
                "example.org",
                8443,
                "/in",
            ),
            ("https://example.org/a/b/", true, "example.org", 443, "/a/b"),
            ("https://[2001:db8::1]", true, "2001:db8::1", 443, ""),
            ("http://[::1]:81/x", false, "::1", 81, "/x"),
        ] {
            let address = Address::parse(url).unwrap();
            let parts = (
                address.is_secure,
                address.host.as_str(),
                address.port,
                address.prefix.as_str(),
            );
            assert_eq!(parts, (is_secure, host, port, prefix), "{url}");
        }
        for wrong in [
            "example.org",
            "https://",
            "https://:443",
            "https://a:",
            "https://a:0",
            "https://a:99999",
            "https://a:b",
            "https://[::1",
            "https://[::1]x",
        ] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_goes_back_into_a_url_in_brackets() {
        let address = Address::parse("https://[2001:db8::1]:8443").unwrap();
        assert_eq!(address.host_in_url(), "[2001:db8::1]");
        assert!(address.has_own_port());
    }

    #[test]
    fn private_addresses_are_known() {
        for ip in [
            "127.0.0.1",
            "10.1.1.1",
            "172.20.0.1",
            "192.168.1.1",
            "100.64.1.1",
            "::1",
            "fd00::1",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["203.0.113.9", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
