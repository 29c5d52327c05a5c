use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The port of the Talos API.
const TALOS: u16 = 50000;

/// A man in the middle: at an address of its own, with a certificate of its own, it passes on to a node what clients send,
/// reads it, and passes the responses back.
pub(crate) struct Middle {
    pub(crate) address: IpAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Middle {
    /// Stands before a node, until the test ends.
    pub(crate) async fn before(node: IpAddr, address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, TALOS)).await.unwrap();
        let (acceptor, connector) = (acceptor(), connector());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, connector, heard) = (acceptor.clone(), connector.clone(), Arc::clone(&heard));
                // Who is refused by one side has nothing to pass on to the other.
                tokio::spawn(async move { pass(client, &acceptor, &connector, (node, TALOS).into(), &heard).await });
            }
        });
        Self { address, seen }
    }

    /// Whether a client ever sent this.
    pub(crate) fn has_seen(&self, text: &str) -> bool {
        self.seen.lock().unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

async fn pass(
    client: TcpStream,
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    node: SocketAddr,
    heard: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let client = acceptor.accept(client).await?;
    let server = TcpStream::connect(node).await?;
    let server = connector.connect(ServerName::IpAddress(node.ip().into()), server).await?;
    let ((from_client, to_client), (from_server, to_server)) = (tokio::io::split(client), tokio::io::split(server));
    tokio::try_join!(
        copy(from_client, to_server, |bytes| heard.lock().unwrap().extend_from_slice(bytes)),
        copy(from_server, to_client, |_| ()),
    )?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    look: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        match from.read(&mut buffer).await? {
            0 => return to.shutdown().await,
            count => {
                look(&buffer[..count]);
                to.write_all(&buffer[..count]).await?;
                to.flush().await?;
            }
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["maintenance-service.talos.dev".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let mut config = rustls::ServerConfig::builder_with_provider(transport::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Takes any certificate: whoever stands in the middle doesn't mind.
#[derive(Debug)]
struct Anyone;

impl transport::Judge for Anyone {
    fn judge(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<(), rustls::Error> {
        Ok(())
    }
}

fn connector() -> TlsConnector {
    let verifier = transport::verifier(Arc::new(Anyone));
    let mut config = transport::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}
