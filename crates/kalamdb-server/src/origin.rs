//! Where a peer comes from, as bounds per peer count it.

use std::net::IpAddr;

/// One IPv4 address, or the network of one IPv6 subscriber, who has as many addresses as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(u128);

impl Origin {
    /// The origin of an address; all peers without one are the same.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self(address.to_ipv6_mapped().to_bits()),
            Some(IpAddr::V6(address)) => Self(address.to_bits() >> 64 << 64),
            None => Self(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Origin {
        Origin::of(Some(address.parse().unwrap()))
    }

    #[test]
    fn neighbours_are_told_apart_where_they_are_neighbours() {
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }
}
