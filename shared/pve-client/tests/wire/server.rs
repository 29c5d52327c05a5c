//! A TLS server on loopback that gives the answers it was given, in order, one a connection.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider, pki_types::PrivateKeyDer},
};

/// What to do with one request.
pub(crate) enum Answer {
    /// Write these bytes.
    Say(String),
    /// Close the connection.
    Drop,
}

impl Answer {
    pub(crate) fn json(status: u16, reason: &str, body: &str) -> Self {
        Self::say(status, reason, "application/json;charset=UTF-8", body)
    }

    pub(crate) fn html(status: u16, reason: &str, body: &str) -> Self {
        Self::say(status, reason, "text/html", body)
    }

    /// The same with one more header.
    pub(crate) fn with(self, header: &str) -> Self {
        match self {
            Self::Say(text) => Self::Say(text.replacen("\r\n", &format!("\r\n{header}\r\n"), 1)),
            Self::Drop => Self::Drop,
        }
    }

    pub(crate) fn text(status: u16, reason: &str, body: &str) -> Self {
        Self::say(status, reason, "text/plain", body)
    }

    fn say(status: u16, reason: &str, kind: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n");
        Self::Say(format!("{head}Connection: close\r\n\r\n{body}"))
    }
}

pub(crate) struct Server {
    port: u16,
    /// The leaf, DER.
    pub(crate) certificate: Vec<u8>,
    /// Who signed it, PEM.
    pub(crate) authority: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let mut answers = answers.into_iter();
        Self::serve(move |_| answers.next(), true).await
    }

    /// One that chooses its answer by the request.
    pub(crate) async fn answering(choose: impl FnMut(&str) -> Option<Answer> + Send + 'static) -> Self {
        Self::serve(choose, true).await
    }

    pub(crate) async fn without_tls() -> Self {
        Self::serve(|_| None, false).await
    }

    async fn serve(mut choose: impl FnMut(&str) -> Option<Answer> + Send + 'static, tls: bool) -> Self {
        let (acceptor, certificate, authority) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if tls {
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    answer(&mut stream, &mut choose, &seen).await;
                } else {
                    refuse(stream).await;
                }
            }
        });
        Self { port, certificate, authority, requests, task }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) async fn stop(mut self) {
        self.task.abort();
        // The listener is closed once the task is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a web server without TLS says to the first bytes of TLS.
async fn refuse(mut stream: TcpStream) {
    let mut hello = [0; 16];
    let _ = stream.read(&mut hello).await;
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    choose: &mut impl FnMut(&str) -> Option<Answer>,
    seen: &Mutex<Vec<String>>,
) {
    let request = received(stream).await;
    if request.is_empty() {
        return;
    }
    let answer = choose(&request);
    seen.lock().unwrap().push(request);
    if let Some(Answer::Say(text)) = answer {
        // The reader may have gone away: then nothing is to be said.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Head and body of one request.
async fn received<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut piece).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
            _ => return text,
        }
    }
}

/// A certificate for 127.0.0.1, signed by an authority of its own.
fn identity() -> (TlsAcceptor, Vec<u8>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), leaf.der().to_vec(), authority.pem())
}
