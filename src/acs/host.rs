//! The spellings of the host, and of the target, that a client may have signed (acs-rooms.md, section 8).

use std::borrow::Cow;
use std::iter;

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

/// An authority that clients call this service by, with the path prefix of their endpoint if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHost {
    signed: String,
    prefix: String,
}

/// The text is no authority with an optional path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write HOST, HOST:PORT or HOST:PORT/PREFIX, without a scheme")]
pub struct PublicHostError;

impl PublicHost {
    /// The authority, and the prefix, as it was configured.
    pub fn as_str(&self) -> &str {
        &self.signed
    }

    /// True if this is what a client signed.
    pub fn is_signed_as(&self, host: &str) -> bool {
        host.strip_suffix('/').unwrap_or(host) == self.signed
    }
}

impl std::str::FromStr for PublicHost {
    type Err = PublicHostError;

    fn from_str(text: &str) -> Result<Self, PublicHostError> {
        let text = text.trim_end_matches('/');
        let (host, prefix) = text.split_once('/').map_or((text, ""), |(host, _)| (host, &text[host.len()..]));
        let plain = |c: char| c.is_ascii_graphic() && c != ';';
        if host.is_empty() || prefix.contains("//") || !text.chars().all(plain) {
            return Err(PublicHostError);
        }
        Ok(Self { signed: text.to_owned(), prefix: prefix.to_owned() })
    }
}

/// The ports that a host without one may stand for.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// 80 or 443.
    pub of_scheme: u16,
    /// The one that the request came to.
    pub of_listener: Option<u16>,
}

/// Every form that a request may have been signed in, the likeliest first; made only as far as they are asked for.
pub fn forms<'a>(
    target: &'a str,
    host: &'a str,
    ports: Ports,
    public: &'a [PublicHost],
) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
    let hosts = move || {
        let bare = without_port(host);
        let Ports { of_scheme, of_listener } = ports;
        let listener = of_listener.filter(|port| bare.is_none() && *port != of_scheme);
        let others = move || {
            [
                bare.is_none().then(|| format!("{host}:{of_scheme}").into()),
                // Some clients leave out, or add, a port that is not the scheme's own on one of the two sides.
                listener.map(|port| format!("{host}:{port}").into()),
                bare.map(Cow::Borrowed),
                Some(format!("{host}/").into()),
                bare.is_none().then(|| format!("{host}:{of_scheme}/").into()),
            ]
        };
        iter::once(Cow::Borrowed(host)).chain(iter::once_with(others).flatten().flatten())
    };
    let here = targets(target).flat_map(move |target| hosts().map(move |host| (target.clone(), host)));
    let elsewhere = public.iter().flat_map(move |public| {
        let prefix = public.prefix.as_str();
        targets(target).flat_map(move |target| {
            let target: Cow<'a, str> = if prefix.is_empty() { target } else { format!("{prefix}{target}").into() };
            [
                (target.clone(), Cow::Borrowed(public.signed.as_str())),
                (target, Cow::Owned(format!("{}/", public.signed))),
            ]
        })
    });
    here.chain(elsewhere)
}

/// The target as on the wire (A), percent-decoded once (B), and with its query written anew (C); equal ones once.
fn targets(raw: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let decoded = move || percent_decode_str(raw).decode_utf8().ok().filter(|decoded| decoded != raw);
    let reserialised = move || {
        let (path, query) = raw.split_once('?')?;
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form_urlencoded::parse(query.as_bytes()))
            .finish();
        Some(format!("{path}?{query}").into()).filter(|again: &Cow<'_, str>| again != raw)
    };
    iter::once(Cow::Borrowed(raw))
        .chain(iter::once_with(decoded).flatten())
        .chain(iter::once_with(reserialised).flatten())
}

/// The scheme that a client called the first proxy by, in lower case.
pub fn forwarded_scheme(req: &HttpRequest) -> Option<String> {
    let forwarded = req.headers().get("x-forwarded-proto").and_then(|value| value.to_str().ok())?;
    forwarded.split(',').next().map(|scheme| scheme.trim().to_ascii_lowercase())
}

/// The host without its port, if it has one: `[::1]:80` has, `[::1]` has none.
pub fn without_port(host: &str) -> Option<&str> {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    host.rsplit_once(':').filter(|(_, port)| is_port(port)).map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn all(target: &str, host: &str, public: &[&str]) -> Vec<(String, String)> {
        let public: Vec<PublicHost> = public.iter().map(|text| text.parse().expect("a host")).collect();
        let ports = Ports { of_scheme: 443, of_listener: Some(8443) };
        forms(target, host, ports, &public).map(|(t, h)| (t.into_owned(), h.into_owned())).collect()
    }

    #[test]
    fn a_plain_request_has_the_wire_form_first_and_no_form_twice() {
        let forms = all("/rooms?api-version=1", "localhost:8080", &[]);
        assert_eq!(
            forms,
            ["localhost:8080", "localhost", "localhost:8080/"]
                .map(|h| ("/rooms?api-version=1".to_owned(), h.to_owned()))
        );
    }

    #[rstest]
    #[case::decoded("/rooms/a%20b%2Fc?x=1", "/rooms/a b/c?x=1")]
    #[case::plus_stays("/rooms/a+b%20?x=1", "/rooms/a+b ?x=1")]
    #[case::query_again("/rooms?a=b%20c~*'()!", "/rooms?a=b+c%7E*%27%28%29%21")]
    fn other_spellings_of_the_target_are_tried(#[case] target: &str, #[case] wanted: &str) {
        assert!(all(target, "h:1", &[]).contains(&(wanted.to_owned(), "h:1".to_owned())));
    }

    #[rstest]
    #[case::default_port("h", &[], "h:443")]
    #[case::signed_with_the_listeners_port("h", &[], "h:8443")]
    #[case::signed_without_a_port("h:1", &[], "h")]
    #[case::trailing_slash("h:1", &[], "h:1/")]
    #[case::an_ip_v6_default_port("[::1]", &[], "[::1]:443")]
    #[case::another_spelling("h:1", &["H:1"], "H:1")]
    #[case::a_proxys_name("h:1", &["rooms.example"], "rooms.example")]
    fn other_spellings_of_the_host_are_tried(#[case] host: &str, #[case] public: &[&str], #[case] wanted: &str) {
        assert!(all("/rooms", host, public).contains(&("/rooms".to_owned(), wanted.to_owned())));
    }

    #[test]
    fn a_prefix_is_signed_in_the_host_and_in_the_target() {
        let wanted = ("/acs/rooms?v=1".to_owned(), "rooms.example:8443/acs".to_owned());
        assert!(all("/rooms?v=1", "h", &["rooms.example:8443/acs"]).contains(&wanted));
    }

    #[rstest]
    #[case("")]
    #[case("/acs")]
    #[case("https://rooms.example")]
    #[case("a b")]
    #[case("a;b")]
    fn what_is_no_authority_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<PublicHost>(), Err(PublicHostError));
    }
}
