//! What a provider's client makes of the certificate that a server shows: judged as it would be, against the public
//! roots, and then closed. Nothing is sent over a connection that is not trusted.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use webpki::EndEntityCert;

use crate::domain::time::Timestamp;

/// So many names of a certificate are told.
const NAMES_MAX: usize = 4;

/// A moment at which no certificate is valid any more: 9999-12-31, in seconds.
const END_OF_TIME_S: u64 = 253_402_214_400;

/// A certificate that every provider trusts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trusted {
    /// Until when.
    pub(super) until: Option<Timestamp>,
}

/// The roots that clients everywhere have.
pub(super) fn public_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// Shakes hands on `stream` as with the server called `host`. The error is one sentence: what is wrong, what to do.
pub(super) fn look(
    stream: TcpStream,
    host: &str,
    roots: RootCertStore,
    now: Timestamp,
) -> Result<Trusted, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is no name that a certificate could hold"))?;
    let crypto = Arc::new(ring::default_provider());
    let judge = Arc::new(Judge::new(roots, now, &crypto)?);
    let config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone())
        .with_no_client_auth();
    let client =
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    let shaken = shake(StreamOwned::new(client, stream));
    let seen = judge.seen.lock().unwrap_or_else(PoisonError::into_inner);
    match (&*seen, shaken) {
        (Some(Seen { fault: None, until }), Ok(())) => Ok(Trusted { until: *until }),
        (
            Some(Seen {
                fault: Some(fault), ..
            }),
            _,
        ) => Err(fault.clone()),
        (_, Err(error)) => Err(unshaken(&error, host)),
        (None, Ok(())) => Err("the server shows no certificate".to_owned()),
    }
}

fn shake(mut tls: StreamOwned<ClientConnection, TcpStream>) -> io::Result<()> {
    // Whatever time the peer takes, each step of it is bounded by the stream's own.
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    tls.conn.send_close_notify();
    tls.flush()
}

/// Why no certificate was judged.
fn unshaken(error: &io::Error, host: &str) -> String {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidMessage(_)) => {
            "what answers there speaks no TLS: is it the port of http://?".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!(
            "the server breaks off ({alert:?}): it has no certificate for {host} yet, or its first request for one \
             failed; see its log"
        ),
        Some(error) => format!("TLS fails: {error}"),
        None if error.kind() == io::ErrorKind::WouldBlock => {
            "the server takes the connection and then says nothing: is something else on this port?"
                .to_owned()
        }
        None => format!("the connection ends during the handshake: {error}"),
    }
}

/// What was made of the certificate.
#[derive(Debug)]
struct Seen {
    fault: Option<String>,
    until: Option<Timestamp>,
}

/// Judges as everybody does, and remembers why.
#[derive(Debug)]
struct Judge {
    common: Arc<WebPkiServerVerifier>,
    now: UnixTime,
    seen: Mutex<Option<Seen>>,
}

impl Judge {
    fn new(
        roots: RootCertStore,
        now: Timestamp,
        crypto: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let common =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(crypto))
                .build()
                .map_err(|error| error.to_string())?;
        let since_epoch = Duration::from_millis(u64::try_from(now.ms()).unwrap_or_default());
        Ok(Self {
            common,
            now: UnixTime::since_unix_epoch(since_epoch),
            seen: Mutex::new(None),
        })
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        at: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.common.verify_server_cert(leaf, between, name, &[], at)
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _machine_now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(leaf, between, name, self.now);
        // Its end is not told of a certificate that is valid; of one that is over, it is.
        let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(END_OF_TIME_S));
        let until = match self.judge(leaf, between, name, end_of_time) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => timestamp(not_after),
            _ => None,
        };
        let fault = verdict
            .as_ref()
            .err()
            .map(|error| fault(error, leaf, between.len(), name));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { fault, until });
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.common.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.common.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.common.supported_verify_schemes()
    }
}

/// What is wrong with a certificate, and what to do.
fn fault(
    error: &Error,
    leaf: &CertificateDer<'_>,
    between: usize,
    name: &ServerName<'_>,
) -> String {
    let Error::InvalidCertificate(error) = error else {
        return error.to_string();
    };
    let of_itself = if is_self_signed(leaf) {
        "self-signed and "
    } else {
        ""
    };
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            let end = timestamp(*not_after).map_or_else(String::new, |at| format!(" on {at}"));
            format!("{of_itself}expired{end}: have the proxy renew it, and see in its log why it did not")
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            let start = timestamp(*not_before).map_or_else(String::new, |at| format!(" before {at}"));
            format!("{of_itself}not valid{start}: is a clock wrong?")
        }
        _ if is_self_signed(leaf) => {
            "self-signed: providers hang up; have the proxy get one from a public authority such as Let's Encrypt"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let name = name.to_str();
            let names = names(presented);
            format!("for {names} and not for {name}: providers hang up; get one for {name}")
        }
        CertificateError::UnknownIssuer if between == 0 => {
            "from an issuer that nobody knows, or without the certificate between: \
             have the server send the full chain (fullchain.pem)"
                .to_owned()
        }
        CertificateError::UnknownIssuer => {
            "from an authority that providers do not know: have the proxy get one from a public authority such as \
             Let's Encrypt"
                .to_owned()
        }
        CertificateError::Revoked => "revoked: get a new one".to_owned(),
        error => format!("not valid: {error}"),
    }
}

/// The first names, as certificates present them: `DnsName("example.org")`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| match name.split('"').nth(1) {
        Some(inside) => inside.to_owned(),
        None => name.clone(),
    };
    let mut out: Vec<String> = presented.iter().take(NAMES_MAX).map(plain).collect();
    if out.is_empty() {
        return "no name".to_owned();
    }
    if presented.len() > NAMES_MAX {
        out.push("others".to_owned());
    }
    let mut text = String::new();
    for (place, name) in out.iter().enumerate() {
        let between = if place == 0 { "" } else { ", " };
        write!(text, "{between}{name}").ok();
    }
    text
}

fn is_self_signed(leaf: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(leaf).is_ok_and(|cert| cert.issuer() == cert.subject())
}

fn timestamp(at: UnixTime) -> Option<Timestamp> {
    let ms = i64::try_from(at.as_secs()).ok()?.checked_mul(1_000)?;
    Some(Timestamp::from_ms(ms))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;

    const NOW: &str = "2026-11-20T06:14:00Z";

    /// An authority of our own.
    fn authority(called: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, called);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A server's settings: a certificate for `names` up to the end of `last`, made by `by` or by itself.
    fn server(
        names: &[&str],
        last: (i32, u8, u8),
        by: Option<&CertifiedIssuer<'_, KeyPair>>,
    ) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(last.0, last.1, last.2);
        let key = KeyPair::generate().unwrap();
        let cert = match by {
            Some(by) => params.signed_by(&key, by).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let private = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], private.into())
            .unwrap();
        Arc::new(config)
    }

    /// What a client that knows `known` makes of such a server.
    fn seen(
        names: &[&str],
        last: (i32, u8, u8),
        by: Option<&CertifiedIssuer<'_, KeyPair>>,
        known: &CertifiedIssuer<'_, KeyPair>,
    ) -> Result<Trusted, String> {
        let config = server(names, last, by);
        let mut roots = RootCertStore::empty();
        roots.add(known.der().clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(config).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        });
        let seen = look(
            TcpStream::connect(at).unwrap(),
            "hooks.example.org",
            roots,
            Timestamp::parse(NOW).unwrap(),
        );
        server.join().unwrap();
        seen
    }

    #[test]
    fn requests_go_over_tls_and_only_to_whom_is_trusted() {
        let ours = authority("ours");
        // The client reads the machine's clock.
        let config = server(&["127.0.0.1"], (2126, 1, 1), Some(&ours));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = StreamOwned::new(tls, stream);
                // Whoever does not trust it is gone before the end of the handshake.
                if io::Read::read(&mut tls, &mut [0; 4096]).is_ok() {
                    tls.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
                        .unwrap();
                }
            }
        });
        let root = ureq::tls::Certificate::from_der(ours.der()).to_owned();
        let trusting = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[root]))
            .build();
        let agent = crate::cli::doctor::public::agent();
        let request = agent.get(&url).config().tls_config(trusting).build();
        assert_eq!(request.call().unwrap().status(), 200);
        let error = agent.get(&url).call().unwrap_err();
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn a_certificate_that_everybody_trusts_says_until_when() {
        let ours = authority("ours");
        let seen = seen(&["hooks.example.org"], (2027, 1, 1), Some(&ours), &ours);
        let until = Timestamp::parse("2027-01-01T00:00:00Z");
        assert_eq!(seen, Ok(Trusted { until }));
    }

    #[test]
    fn each_fault_of_a_certificate_is_told_by_its_name() {
        let ours = authority("ours");
        let other = authority("another");
        let (good, over) = ((2027, 1, 1), (2026, 11, 1));
        let name = &["hooks.example.org"][..];
        for (names, last, by, says) in [
            (name, over, Some(&ours), "expired on 2026-11-01T00:00:00"),
            (name, over, None, "self-signed and expired on 2026-11-01"),
            (name, good, None, "self-signed: "),
            (
                &["example.org", "www.example.org"],
                good,
                Some(&ours),
                "for example.org, www.example.org and not for hooks.example.org",
            ),
        ] {
            let fault = seen(names, last, by, &ours).unwrap_err();
            assert!(fault.starts_with(says), "{fault}");
        }
        let fault = seen(name, good, Some(&other), &ours).unwrap_err();
        assert!(fault.contains("an issuer that nobody knows"), "{fault}");
    }

    #[test]
    fn a_server_without_tls_is_told_from_one_that_hangs_up() {
        let answers: [(&[u8], &str); 2] = [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no TLS"),
            (b"", "ends during the handshake"),
        ];
        for (answer, says) in answers {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let at = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
                stream.write_all(answer).unwrap();
            });
            let fault = look(
                TcpStream::connect(at).unwrap(),
                "hooks.example.org",
                public_roots(),
                Timestamp::parse(NOW).unwrap(),
            );
            let fault = fault.unwrap_err();
            assert!(fault.contains(says), "{fault}");
            server.join().unwrap();
        }
    }

    #[test]
    fn many_names_are_cut() {
        let many: Vec<String> = "abcdef"
            .chars()
            .map(|c| format!("DnsName(\"{c}\")"))
            .collect();
        assert_eq!(names(&many), "a, b, c, d, others");
        assert_eq!(names(&[]), "no name");
    }
}
