//! How many failures an address may make before it is told to wait. A right credential never comes here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Addresses remembered per generation; two generations are kept.
const ADDRESSES_MAX: usize = 4096;

/// One token bucket per address. An address that has not failed for a while is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<IpAddr, Bucket>,
    old: HashMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Flood {
    /// Takes one token of `ip`: false if there is none left. A bucket holds `burst` and regains `per_s` a second.
    pub(crate) fn allows(&self, ip: IpAddr, now: Instant, burst: u32, per_s: u32) -> bool {
        let ip = neighbourhood(ip);
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = generations.young.get(&ip).or(generations.old.get(&ip));
        let mut bucket = known.copied().unwrap_or(Bucket {
            tokens: f64::from(burst),
            filled_at: now,
        });
        let regained = now
            .saturating_duration_since(bucket.filled_at)
            .as_secs_f64();
        bucket.tokens = (bucket.tokens + regained * f64::from(per_s)).min(f64::from(burst));
        bucket.filled_at = now;
        let is_allowed = bucket.tokens >= 1.0;
        if is_allowed {
            bucket.tokens -= 1.0;
        }
        generations.remember(ip, bucket);
        is_allowed
    }
}

impl Generations {
    fn remember(&mut self, ip: IpAddr, bucket: Bucket) {
        if self.young.len() >= ADDRESSES_MAX && !self.young.contains_key(&ip) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ip, bucket);
    }
}

/// Whoever holds one IPv6 address commonly holds its /64.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_refills() {
        let (flood, ip, start) = (
            Flood::default(),
            "198.51.100.1".parse().unwrap(),
            Instant::now(),
        );
        assert!((0..5).all(|_| flood.allows(ip, start, 5, 2)));
        assert!(!flood.allows(ip, start, 5, 2));
        assert!(!flood.allows(ip, start + Duration::from_millis(400), 5, 2));
        assert!(flood.allows(ip, start + Duration::from_millis(600), 5, 2));
        let other = "198.51.100.2".parse().unwrap();
        assert!(flood.allows(other, start, 5, 2));
    }

    #[test]
    fn neighbours_in_ipv6_share_a_bucket() {
        let (flood, start) = (Flood::default(), Instant::now());
        assert!(flood.allows("2001:db8:1:2::1".parse().unwrap(), start, 1, 0));
        assert!(!flood.allows("2001:db8:1:2::2".parse().unwrap(), start, 1, 0));
        assert!(flood.allows("2001:db8:1:3::1".parse().unwrap(), start, 1, 0));
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let (flood, start) = (Flood::default(), Instant::now());
        for n in 0..20_000u32 {
            flood.allows(IpAddr::from(n.to_be_bytes()), start, 1, 0);
        }
        let generations = flood.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * ADDRESSES_MAX);
    }
}
