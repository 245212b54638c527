use url::{Host, Url};

use super::AddressClass::{
    Benchmarking, Broadcast, CarrierNat, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private, Protocol,
    Reserved, Unspecified,
};
use super::*;
use crate::domain::target_url;

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "99.255.255.255",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:200::",
    "2001:4860:4860::8888",
    "2001:db7:ffff::",
    "2001:db9::",
    "2003::1",
    "3ffe:ffff::",
    "3fff:1000::",
    "2620:4f:8000::",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
];

const REFUSED: &[(AddressClass, &[&str])] = &[
    (Loopback, &["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"]),
    (
        Private,
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "fc00::",
            "fdff:ffff::1",
            "fec0::1",
            "feff::1",
        ],
    ),
    (CarrierNat, &["100.64.0.0", "100.127.255.255"]),
    (LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::1", "febf::1"]),
    (
        Metadata,
        &[
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::",
            "fd00:ec2::23",
            "fd00:ec2::253",
            "fd00:ec2::254",
            "fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff",
            "fd20:ce::254",
        ],
    ),
    (Unspecified, &["0.0.0.0", "0.1.2.3", "0.255.255.255", "::"]),
    (Protocol, &["192.0.0.0", "192.0.0.255", "192.88.99.1", "2001:10::1", "2001:1ff:ffff::1", "100::1", "5f00::1"]),
    (
        Documentation,
        &["192.0.2.1", "198.51.100.255", "203.0.113.0", "2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1"],
    ),
    (Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
    (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
    (Reserved, &["240.0.0.1", "255.255.255.254", "100:0:0:1::1", "1::1", "4000::1", "8000::1", "f000::1", "fe00::1"]),
    (Broadcast, &["255.255.255.255"]),
    // IPv4 inside IPv6; the last of a kind are Teredo and local NAT64.
    (
        Loopback,
        &[
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:0:808:808::80ff:fffe",
            "64:ff9b:1:808:7f:0:100:0",
            "64:ff9b:1:808:8:808:7f00:1",
            "64:ff9b:1::7f00:1",
        ],
    ),
    (Private, &["::ffff:10.1.2.3", "::10.0.0.1", "::ffff:0:192.168.1.1", "64:ff9b::10.0.0.1", "2002:a00:1::1"]),
    (
        Metadata,
        &[
            "::ffff:169.254.169.254",
            "::168.63.129.16",
            "::ffff:168.63.129.16",
            "::ffff:0:168.63.129.16",
            "64:ff9b::168.63.129.16",
            "64:ff9b:1::168.63.129.16",
            "2002:a83f:8110::1",
            "64:ff9b::192.0.0.192",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9fe:a9:fe00:a00:1",
        ],
    ),
    (Unspecified, &["::ffff:0.0.0.0", "::2", "2001::1"]),
    (LinkLocal, &["::169.254.0.1"]),
    (CarrierNat, &["64:ff9b::100.64.0.1"]),
    (Protocol, &["2002:c058:6301::", "2001:0:808:808::f7f7:f7f7", "64:ff9b:1:808:8:808:808:808"]),
];

fn refused() -> impl Iterator<Item = (&'static str, AddressClass)> {
    REFUSED.iter().flat_map(|(class, texts)| texts.iter().map(|text| (*text, *class)))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn private() -> AddressPolicy {
    AddressPolicy { allow_private: true, allow_networks: Vec::new() }
}

fn networks(text: &str) -> AddressPolicy {
    AddressPolicy { allow_private: false, allow_networks: parse_networks(text).unwrap() }
}

#[test]
fn public_addresses_may_be_called() {
    for text in PUBLIC {
        assert_eq!(AddressPolicy::default().check(ip(text)), Ok(()), "{text}");
    }
}

#[test]
fn every_other_range_is_refused_by_its_name() {
    for (text, class) in refused() {
        let blocked = AddressPolicy::default().check(ip(text)).expect_err(text);
        assert_eq!((blocked.address, blocked.class), (ip(text), class), "{text}");
    }
}

#[test]
fn allow_private_opens_everything_but_link_local_and_metadata() {
    for (text, class) in refused() {
        let never = matches!(class, LinkLocal | Metadata);
        assert_eq!(private().check(ip(text)).is_err(), never, "{text}");
    }
}

#[test]
fn allow_network_opens_exactly_that_network() {
    for (text, _) in refused() {
        let exact = AddressPolicy { allow_private: false, allow_networks: vec![IpNet::from(ip(text))] };
        assert_eq!(exact.check(ip(text)), Ok(()), "{text}");
        assert!(networks("10.77.0.0/16,fd77::/32").check(ip(text)).is_err(), "{text}");
    }
    let policy = networks("10.1.0.0/16, 169.254.169.254, fd00:1::/32");
    for allowed in ["10.1.255.255", "::ffff:10.1.0.1", "64:ff9b::10.1.0.1", "169.254.169.254", "fd00:1::9"] {
        assert_eq!(policy.check(ip(allowed)), Ok(()), "{allowed}");
    }
    for refused in ["10.2.0.0", "10.0.255.255", "::ffff:10.2.0.1", "169.254.169.253", "fd00:2::9", "127.0.0.1"] {
        assert!(policy.check(ip(refused)).is_err(), "{refused}");
    }
}

#[test]
fn a_message_names_the_address_its_class_and_the_flag() {
    let said = |text: &str| AddressPolicy::default().check(ip(text)).unwrap_err().to_string();
    assert_eq!(said("127.0.0.1"), "127.0.0.1 is a loopback address; --allow-private would allow it");
    assert_eq!(
        said("169.254.169.254"),
        "169.254.169.254 is a cloud metadata address; only --allow-network 169.254.169.254/32 would allow it"
    );
    assert_eq!(
        said("64:ff9b::a00:1"),
        "64:ff9b::a00:1 stands for 10.0.0.1, a private address; --allow-private would allow it"
    );
}

#[test]
fn metadata_and_link_local_addresses_open_to_a_network_that_holds_them_and_to_nothing_else() {
    let never_private = [
        ("169.254.0.1", "169.254.0.0/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("fe80::1", "fe80::/10"),
        ("100.100.100.200", "100.64.0.0/10"),
        ("192.0.0.192", "192.0.0.192"),
        ("168.63.129.16", "168.63.129.0/24"),
        ("fd00:ec2::23", "fd00:ec2::/32"),
        ("fd00:ec2::253", "fd00::/8"),
        ("::ffff:168.63.129.16", "168.63.129.16"),
    ];
    for (address, network) in never_private {
        assert!(networks("10.0.0.0/8,fd01::/16").check(ip(address)).is_err(), "{address}");
        assert!(private().check(ip(address)).is_err(), "{address}");
        assert_eq!(networks(network).check(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn a_loopback_name_is_loopback_with_a_final_dot_and_below_localhost_too() {
    for name in ["localhost", "LocalHost", "localhost.", "a.localhost", "a.b.localhost."] {
        let refused = AddressPolicy::default().check_name(name).map_err(|blocked| blocked.class);
        assert_eq!(refused, Err(Loopback), "{name}");
        for allowed in ["127.0.0.1", "::1", "127.0.0.0/8,::1"] {
            assert_eq!(networks(allowed).check_name(name), Ok(()), "{name} with {allowed}");
        }
        assert!(networks("10.0.0.0/8").check_name(name).is_err(), "{name}");
    }
    for name in ["localhost.example.com", "notlocalhost", "localhost.localdomain", "", "example.com."] {
        assert_eq!(AddressPolicy::default().check_name(name), Ok(()), "{name}");
    }
}

#[test]
fn odd_spellings_in_a_url_are_addresses_like_any_other() {
    let spellings = [
        ("127.1", Loopback),
        ("127.0.1", Loopback),
        ("0x7f.1", Loopback),
        ("0x7f000001", Loopback),
        ("2130706433", Loopback),
        ("0177.0.0.1", Loopback),
        ("017700000001", Loopback),
        ("127.0.0.1.", Loopback),
        ("0x7F.0.0.0x1", Loopback),
        ("１２７.0.0.1", Loopback),
        ("127。0。0。1", Loopback),
        ("%31%32%37.1", Loopback),
        ("[::ffff:7f00:1]", Loopback),
        ("[::ffff:127.0.0.1]", Loopback),
        ("[0:0:0:0:0:0:0:1]", Loopback),
        ("[::7f00:1]", Loopback),
        ("0", Unspecified),
        ("0.0.0.0", Unspecified),
        ("[::]", Unspecified),
        ("10.1", Private),
        ("0xa000001", Private),
        ("192.168.257", Private),
        ("0xa9fea9fe", Metadata),
        ("2852039166", Metadata),
        ("0251.0376.0251.0376", Metadata),
        ("[::ffff:a9fe:a9fe]", Metadata),
        ("4294967295", Broadcast),
    ];
    for (host, class) in spellings {
        let url = target_url::parse(&format!("http://{host}:8080/hook")).expect(host);
        let address = literal(&url).expect(host);
        assert_eq!(AddressPolicy::default().check(address).map_err(|blocked| blocked.class), Err(class), "{host}");
    }
}

/// The address, when the URL names one instead of a host.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

#[test]
fn networks_are_read_with_commas_between() {
    let read = |text: &str| parse_networks(text).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(read("10.0.0.0/8"), ["10.0.0.0/8"]);
    assert_eq!(read(" 10.1.2.3/8 , ::1 ,192.0.2.1"), ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
    assert!(read("").is_empty() && read("  ").is_empty());
    for wrong in ["10.0.0.0/33", "10.0.0", "::/129", "localhost", "10.0.0.0/8,", ",", "10.0.0.0/8;::1", "1.2.3.4/-1"] {
        assert!(parse_networks(wrong).is_err(), "{wrong}");
    }
    let error = parse_networks("10.0.0.0/8,nonsense").unwrap_err().to_string();
    assert!(error.starts_with("\"nonsense\" is not a network"), "{error}");
}
