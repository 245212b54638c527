//! Which addresses may be called: one table of ranges, one rule, for every request that goes out.
//!
//! The ranges are those of the IANA special-purpose address registries (RFC 6890) that are not global unicast.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// What a webhook may reach beyond the public internet. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct AddressPolicy {
    /// Allows every range of the table except link-local addresses and cloud metadata services.
    pub allow_private: bool,
    /// Allows exactly these networks, whatever range they lie in.
    pub allow_networks: Vec<IpNet>,
}

impl AddressPolicy {
    /// Whether a request may go to this address.
    ///
    /// An IPv4 address embedded in an IPv6 address is judged as that IPv4 address.
    pub fn check(&self, address: IpAddr) -> Result<(), BlockedAddress> {
        if self.names(address) {
            return Ok(());
        }
        let refusals = meanings(address).into_iter().flatten().filter_map(|meaning| self.refusal(meaning));
        // Report the refusal that is hardest to lift.
        match refusals.min_by_key(|(_, class)| !class.is_never_private()) {
            Some((meaning, class)) => Err(BlockedAddress { address, meaning, class }),
            None => Ok(()),
        }
    }

    /// Checks a host name before it is resolved: only names of the machine itself (`localhost`) are refused here.
    pub fn check_name(&self, host: &str) -> Result<(), BlockedAddress> {
        if !is_loopback_name(host) {
            return Ok(());
        }
        // Only resolving the name tells which of the two it is.
        self.check(Ipv6Addr::LOCALHOST.into()).or_else(|_| self.check(Ipv4Addr::LOCALHOST.into()))
    }

    fn names(&self, address: IpAddr) -> bool {
        self.allow_networks.iter().any(|network| network.contains(&address))
    }

    fn refusal(&self, meaning: IpAddr) -> Option<(IpAddr, AddressClass)> {
        let class = classify(meaning)?;
        let allowed = self.names(meaning) || (self.allow_private && !class.is_never_private());
        (!allowed).then_some((meaning, class))
    }
}

/// A refused address, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BlockedAddress {
    /// The address as it was given.
    pub address: IpAddr,
    /// The address that was judged: the IPv4 address where one is embedded in IPv6.
    pub meaning: IpAddr,
    pub class: AddressClass,
}

impl fmt::Display for BlockedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockedAddress { address, meaning, class } = self;
        if address == meaning {
            write!(f, "{address} is {}; ", class.phrase())?;
        } else {
            write!(f, "{address} stands for {meaning}, {}; ", class.phrase())?;
        }
        if class.is_never_private() {
            write!(f, "only --allow-network {} would allow it", IpNet::from(*meaning))
        } else {
            f.write_str("--allow-private would allow it")
        }
    }
}

/// The kinds of ranges that are refused unless a webhook allows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// The machine itself: 127/8, `::1`.
    Loopback,
    /// RFC 1918 and RFC 4193.
    Private,
    /// RFC 6598.
    CarrierNat,
    /// RFC 3927 and RFC 4291.
    LinkLocal,
    /// Where a cloud hands out the credentials of its machines.
    Metadata,
    /// "This network" and the unspecified address.
    Unspecified,
    /// Kept for protocols, RFC 6890: DS-Lite, Teredo, 6to4 relays, ORCHID, local NAT64.
    Protocol,
    /// RFC 5737, RFC 3849, RFC 9637.
    Documentation,
    /// RFC 2544.
    Benchmarking,
    Multicast,
    Broadcast,
    /// Unassigned: 240/4, and all of IPv6 outside `2000::/3`.
    Reserved,
}

impl AddressClass {
    /// For messages, such as "a loopback address".
    pub fn phrase(self) -> &'static str {
        match self {
            AddressClass::Loopback => "a loopback address",
            AddressClass::Private => "a private address",
            AddressClass::CarrierNat => "a carrier NAT address",
            AddressClass::LinkLocal => "a link-local address",
            AddressClass::Metadata => "a cloud metadata address",
            AddressClass::Unspecified => "an unspecified address",
            AddressClass::Protocol => "an address reserved for protocols",
            AddressClass::Documentation => "a documentation address",
            AddressClass::Benchmarking => "a benchmarking address",
            AddressClass::Multicast => "a multicast address",
            AddressClass::Broadcast => "the broadcast address",
            AddressClass::Reserved => "a reserved address",
        }
    }

    /// Whether `--allow-private` does not cover it, only `--allow-network`: it is not part of a private network.
    pub fn is_never_private(self) -> bool {
        matches!(self, AddressClass::LinkLocal | AddressClass::Metadata)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; write addresses or CIDR blocks, such as 10.0.0.0/8 or fd00::/8, with commas between")]
pub struct NetworksError(String);

/// Reads networks separated by commas; an address without a prefix length is a network of one. An empty text is an empty list.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, NetworksError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(str::trim).map(parse_network).collect()
}

fn parse_network(item: &str) -> Result<IpNet, NetworksError> {
    match item.parse::<IpNet>() {
        Ok(network) => Ok(network.trunc()),
        Err(_) => item.parse::<IpAddr>().map(IpNet::from).map_err(|_| NetworksError(item.to_owned())),
    }
}

fn classify(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(v4) => V4_RANGES.iter().find(|(range, _)| range.contains(&v4)).map(|(_, class)| *class),
        IpAddr::V6(v6) => match V6_RANGES.iter().find(|(range, _)| range.contains(&v6)) {
            Some((_, class)) => Some(*class),
            None => (!GLOBAL_UNICAST.contains(&v6)).then_some(AddressClass::Reserved),
        },
    }
}

/// Whether a host name always means the machine itself (RFC 6761, section 6.3).
fn is_loopback_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

/// The addresses that an address may stand for, the likeliest first; every one of them must be allowed.
fn meanings(address: IpAddr) -> [Option<IpAddr>; 5] {
    let IpAddr::V6(v6) = address else { return [Some(address), None, None, None, None] };
    let octets = v6.octets();
    let at = |i: usize, j: usize, k: usize, l: usize| {
        Some(IpAddr::V4(Ipv4Addr::new(octets[i], octets[j], octets[k], octets[l])))
    };
    let tail = at(12, 13, 14, 15);
    match v6.segments() {
        // The unspecified address and loopback lie in the IPv4-compatible range, but mean themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [Some(address), None, None, None, None],
        // IPv4-compatible and IPv4-mapped (RFC 4291), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            [tail, None, None, None, None]
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => [at(2, 3, 4, 5), None, None, None, None],
        // Local NAT64 (RFC 8215): the position of the IPv4 address depends on the operator's prefix length, so all
        // positions of RFC 6052 section 2.2 are read; octet 8 is skipped there.
        [0x64, 0xff9b, 1, ..] => [tail, at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12), Some(address)],
        // Teredo (RFC 4380): the server, and the client with its bits turned.
        [0x2001, 0, ..] => {
            let client = Ipv4Addr::from(!u32::from_be_bytes([octets[12], octets[13], octets[14], octets[15]]));
            [at(4, 5, 6, 7), Some(IpAddr::V4(client)), Some(address), None, None]
        }
        _ => [Some(address), None, None, None, None],
    }
}

/// The first range that contains an address decides: narrow ranges come before the wide ones around them.
const V4_RANGES: &[(Ipv4Net, AddressClass)] = &[
    (v4([169, 254, 169, 254], 32), AddressClass::Metadata),
    (v4([169, 254, 170, 2], 32), AddressClass::Metadata),
    // Alibaba's, Oracle's and Azure's. Azure's is a public address that only its own machines reach.
    (v4([100, 100, 100, 200], 32), AddressClass::Metadata),
    (v4([192, 0, 0, 192], 32), AddressClass::Metadata),
    (v4([168, 63, 129, 16], 32), AddressClass::Metadata),
    (v4([169, 254, 0, 0], 16), AddressClass::LinkLocal),
    (v4([127, 0, 0, 0], 8), AddressClass::Loopback),
    (v4([10, 0, 0, 0], 8), AddressClass::Private),
    (v4([172, 16, 0, 0], 12), AddressClass::Private),
    (v4([192, 168, 0, 0], 16), AddressClass::Private),
    (v4([100, 64, 0, 0], 10), AddressClass::CarrierNat),
    (v4([0, 0, 0, 0], 8), AddressClass::Unspecified),
    (v4([192, 0, 0, 0], 24), AddressClass::Protocol),
    (v4([192, 88, 99, 0], 24), AddressClass::Protocol),
    (v4([192, 0, 2, 0], 24), AddressClass::Documentation),
    (v4([198, 51, 100, 0], 24), AddressClass::Documentation),
    (v4([203, 0, 113, 0], 24), AddressClass::Documentation),
    (v4([198, 18, 0, 0], 15), AddressClass::Benchmarking),
    (v4([224, 0, 0, 0], 4), AddressClass::Multicast),
    (v4([255, 255, 255, 255], 32), AddressClass::Broadcast),
    (v4([240, 0, 0, 0], 4), AddressClass::Reserved),
];

/// As [`V4_RANGES`]; what lies outside [`GLOBAL_UNICAST`] is refused without a row here.
const V6_RANGES: &[(Ipv6Net, AddressClass)] = &[
    // Amazon's, which holds its metadata, time and name services, and Google's.
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), AddressClass::Metadata),
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), AddressClass::Metadata),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), AddressClass::LinkLocal),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), AddressClass::Loopback),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), AddressClass::Unspecified),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), AddressClass::Private),
    // Site-local (RFC 3879), the older form of the row above.
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), AddressClass::Private),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), AddressClass::Multicast),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), AddressClass::Documentation),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), AddressClass::Documentation),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), AddressClass::Benchmarking),
    // Holds Teredo, 2001::/32.
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), AddressClass::Protocol),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), AddressClass::Protocol),
    // Discard-only (RFC 6666) and segment routing (RFC 9602).
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), AddressClass::Protocol),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), AddressClass::Protocol),
];

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let s = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

#[cfg(test)]
mod tests;
