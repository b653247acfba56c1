//! Where a client really comes from: its own address, or what a proxy that is trusted says.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use smallvec::SmallVec;

use crate::wire::http1::Head;

/// The networks whose word is taken for where a client comes from (`client.trusted_proxies`).
#[derive(Clone, Default, Debug)]
pub struct TrustedProxies(Vec<Network>);

/// An entry of `client.trusted_proxies` that is no network.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is no network: expected an address, or one with the length of its prefix and nothing \
     beyond it, such as 10.0.0.0/8 or fd00::/8"
)]
pub struct BadNetwork(String);

/// The addresses that begin with the first `prefix_bits` of this one. Never an IPv4 address
/// written as IPv6.
#[derive(Clone, Copy, Debug)]
struct Network {
    first: IpAddr,
    prefix_bits: u32,
}

/// Reads one entry of a header.
type Read = fn(&str) -> Option<IpAddr>;

/// Headers that name the way a request came, and how an entry of each is read. The first that
/// stands in a request counts; the others may have come from the client.
const HEADERS: [(&str, Read); 3] =
    [("x-forwarded-for", address), ("forwarded", forwarded_for), ("x-real-ip", address)];

impl TrustedProxies {
    /// Addresses and networks. Empty: nobody's word is taken.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn new(networks: &[String]) -> Result<Self, BadNetwork> {
        let network = |text: &String| Network::parse(text).ok_or_else(|| BadNetwork(text.clone()));
        networks.iter().map(network).collect::<Result<_, _>>().map(Self)
    }

    /// The address a request comes from: that of the peer, unless it is trusted. Then the nearest
    /// one before it that is not, by `X-Forwarded-For`, else `Forwarded` (RFC 7239), else
    /// `X-Real-IP`, each read from its end, because only the end was written by who is trusted.
    /// What cannot be read ends the way there: nobody vouches for what lies behind it.
    #[must_use]
    pub fn remote_addr(&self, peer: Option<IpAddr>, head: &Head<'_>) -> Option<IpAddr> {
        let peer = peer?.to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let entries_of = |name: &str| -> SmallVec<[_; 8]> {
            head.header_values(name).flat_map(|value| value.split(|byte| *byte == b',')).collect()
        };
        let mut sent = HEADERS.iter().map(|(name, read)| (entries_of(name), read));
        let Some((entries, read)) = sent.find(|(entries, _)| !entries.is_empty()) else {
            return Some(peer);
        };
        let mut nearest = peer;
        for entry in entries.iter().rev().map(|entry| entry.trim_ascii()) {
            // Empty entries of a list mean nothing (RFC 9110 §5.6.1).
            if entry.is_empty() {
                continue;
            }
            let Some(before) = str::from_utf8(entry).ok().and_then(read) else { break };
            nearest = before.to_canonical();
            if !self.trusts(nearest) {
                break;
            }
        }
        Some(nearest)
    }

    /// Whether the word of this address is taken.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (first, prefix) = match text.split_once('/') {
            Some((first, prefix)) => (first, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = first.parse().ok()?;
        let bits_max = bits(written);
        let prefix_bits = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|bits| *bits <= bits_max)?
            }
            Some(_) => return None,
            None => bits_max,
        };
        let first = written.to_canonical();
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix would be more than IPv4.
        let prefix_bits = prefix_bits.checked_sub(bits_max - bits(first))?;
        let network = Self { first, prefix_bits };
        // Whoever writes 10.0.0.1/8 may mean one address or sixteen million.
        (network.beyond_prefix(first) == 0).then_some(network)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let differs = match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                u128::from(first.to_bits() ^ address.to_bits())
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => first.to_bits() ^ address.to_bits(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differs.checked_shr(bits(self.first) - self.prefix_bits).unwrap_or(0) == 0
    }

    /// The bits of an address of this family that the prefix does not cover.
    fn beyond_prefix(&self, address: IpAddr) -> u128 {
        let value = match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let covered = u128::BITS - (bits(self.first) - self.prefix_bits);
        value.checked_shl(covered).unwrap_or(0)
    }
}

const fn bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => u32::BITS,
        IpAddr::V6(_) => u128::BITS,
    }
}

/// An address with or without a port; one of IPv6 may stand in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let bracketed = || {
        let inside = entry.strip_prefix('[')?.strip_suffix(']')?;
        inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port).or_else(bracketed)
}

/// The node of `for=` in one element of `Forwarded` (RFC 7239 §4). A comma in a quoted text cuts
/// an element in two that cannot be read; to look for the quotes would let a client that opens
/// one hide what a proxy wrote after it.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim_ascii().eq_ignore_ascii_case("for").then(|| value.trim_ascii())
    })?;
    match value.strip_prefix('"') {
        Some(quoted) => address(quoted.strip_suffix('"')?),
        None => address(value),
    }
}

#[cfg(test)]
mod tests;
