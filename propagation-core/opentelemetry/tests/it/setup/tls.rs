//! OTLP over TLS.

use std::{net::SocketAddr, sync::Arc};

use propagation_core::{Hop, Outcome, PropagationContext, SpanKind};
use propagation_opentelemetry::setup::{Setup, SetupError};
use propagation_testkit::otlp::OtlpReceiver;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
        server::WebPkiClientVerifier,
    },
};

/// A self-signed certificate for `localhost`, with its key.
struct Certificate(rcgen::CertifiedKey<rcgen::KeyPair>);

impl Certificate {
    fn new() -> Self {
        Self(rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der()))
    }
}

/// Terminates TLS in front of a receiver. With `client`, requires that certificate of clients.
async fn terminate(receiver: SocketAddr, server: &Certificate, client: Option<&Certificate>) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let config = match client {
        None => config.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.0.cert.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            config.with_client_cert_verifier(verifier)
        }
    };
    let mut config = config.with_single_cert(vec![server.0.cert.der().clone()], server.key()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut plain = tokio::net::TcpStream::connect(receiver).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
            });
        }
    });
    address
}

/// Files in a folder of the test's own, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("propagation-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn export(address: SocketAddr, files: Vec<(&'static str, String)>) -> Result<(), SetupError> {
    let endpoint = format!("https://localhost:{}", address.port());
    let telemetry = Setup::new("orders")
        .with_metrics(false)
        .variables(move |name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("2000".to_owned()),
            _ => files.iter().find(|(known, _)| *known == name).map(|(_, path)| path.clone()),
        })
        .build()?;
    telemetry.propagator().start(Hop::local(SpanKind::Server, PropagationContext::EMPTY)).end(&Outcome::Unset);
    telemetry.shutdown().await
}

#[tokio::test(flavor = "multi_thread")]
async fn exporter_trusts_the_certificate_of_the_variable() {
    let (receiver, server) = (OtlpReceiver::start().await.unwrap(), Certificate::new());
    let address = terminate(receiver.address(), &server, None).await;
    let folder = Folder::new("roots");
    let own = folder.write("own.pem", &server.0.cert.pem());
    let other = folder.write("other.pem", &Certificate::new().0.cert.pem());
    export(address, vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", own.clone())]).await.unwrap();
    assert_eq!(receiver.spans().len(), 1);
    let signal =
        vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", other.clone()), ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", own)];
    export(address, signal).await.unwrap();
    assert_eq!(receiver.spans().len(), 2, "the variable of the signal goes before");
    let refused = export(address, vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", other)]).await;
    assert!(matches!(refused, Err(SetupError::SpansLost { spans: 1, .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exporter_sends_its_client_certificate() {
    let (receiver, server, client) = (OtlpReceiver::start().await.unwrap(), Certificate::new(), Certificate::new());
    let address = terminate(receiver.address(), &server, Some(&client)).await;
    let folder = Folder::new("client");
    let root = ("OTEL_EXPORTER_OTLP_CERTIFICATE", folder.write("root.pem", &server.0.cert.pem()));
    let without = export(address, vec![root.clone()]).await;
    assert!(matches!(without, Err(SetupError::SpansLost { .. })), "{without:?}");
    let certificate = folder.write("client.pem", &client.0.cert.pem());
    let key = folder.write("client.key", &client.0.signing_key.serialize_pem());
    let identity = [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)];
    export(address, [vec![root], identity.to_vec()].concat()).await.unwrap();
    assert_eq!(receiver.spans().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_files_are_reported() {
    let folder = Folder::new("unusable");
    let (text, key) = (
        folder.write("text", "no certificate"),
        folder.write("key.pem", &Certificate::new().0.signing_key.serialize_pem()),
    );
    for (name, path) in [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent/ca.pem".to_owned()),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", text),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key),
    ] {
        let telemetry = Setup::new("orders")
            .with_metrics(false)
            .variables(move |known| (known == name).then(|| path.clone()))
            .build()
            .unwrap();
        let ignored = telemetry.ignored_variables().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(ignored.len() == 1 && ignored[0].starts_with(name), "{name}: {ignored:?}");
    }
}
