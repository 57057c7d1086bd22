//! What this machine is called by, and by nobody else: names that no DNS server answers for, and loopback addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True if an authority (`HOST` or `HOST:PORT`) is of this machine, whatever the port: `localhost`, a name below
/// it, or a loopback address.
pub fn is_authority(text: &str) -> bool {
    let host_and_port = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(ip, port)| (ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6), ip, port)),
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            Some((name.parse::<Ipv4Addr>().ok().map(IpAddr::V4), name, port))
        }
    };
    let Some((ip, name, port)) = host_and_port else { return false };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    is_port && ip.map_or_else(|| is_name(name), |ip| ip.to_canonical().is_loopback())
}

/// True if browsers give the origin to pages of this machine. `null` is none: any site can have it, by a frame.
pub fn is_origin(text: &str) -> bool {
    matches!(text.split_once("://"), Some(("http" | "https", authority)) if is_authority(authority))
}

fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    is_plain && (name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost")]
    #[case("LOCALHOST:8080")]
    #[case("localhost.")]
    #[case("localhost:")]
    #[case("app.localhost:3000")]
    #[case("127.0.0.1:8080")]
    #[case("127.1.2.3")]
    #[case("[::1]")]
    #[case("[::1]:8443")]
    #[case("[::ffff:127.0.0.1]:80")]
    fn what_leads_here_is_of_this_machine(#[case] authority: &str) {
        assert!(is_authority(authority));
        assert!(is_origin(&format!("http://{authority}")) && is_origin(&format!("https://{authority}")));
    }

    #[rstest]
    #[case("")]
    #[case(":8080")]
    #[case("evil.example")]
    #[case("localhost.evil.example")]
    #[case("evillocalhost")]
    #[case("evil.example#.localhost")]
    #[case("evil.example/.localhost")]
    #[case("evil@x.localhost")]
    #[case("localhost:80@evil.example")]
    #[case("localhost:http")]
    #[case("127.0.0.1.evil.example")]
    #[case("127.0.0.1 evil.example")]
    #[case("[127.0.0.1]")]
    #[case("[::1")]
    #[case("[::1]evil.example")]
    #[case("::1")]
    #[case("0.0.0.0:8080")]
    #[case("[::]:8080")]
    #[case("192.168.1.5")]
    #[case("[fe80::1]")]
    fn what_leads_elsewhere_is_not(#[case] authority: &str) {
        assert!(!is_authority(authority));
        assert!(!is_origin(&format!("http://{authority}")));
    }

    #[rstest]
    #[case("null")]
    #[case("")]
    #[case("localhost")]
    #[case("file://")]
    #[case("chrome-extension://localhost")]
    #[case("http://localhost/")]
    fn what_is_no_page_of_the_web_is_no_origin_of_this_machine(#[case] origin: &str) {
        assert!(!is_origin(origin));
    }
}
