//! A server that is spoken to over TLS: trusted by the certificates that the machine has, or not at
//! all.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves vectors of two numbers over TLS, a request a connection; gives its URL and certificate.
fn serve() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the tests.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            // One that does not trust it goes away.
            let _ = answer(StreamOwned::new(connection, stream.unwrap()));
        }
    });
    (format!("https://localhost:{port}/v1"), made.cert.pem())
}

fn answer<S: std::io::Read + std::io::Write>(stream: S) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(said) = line.strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let body = r#"{"data":[{"index":0,"embedding":[3,4]}],"usage":{"total_tokens":3}}"#;
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
    write!(stream.get_mut(), "{head}\r\n\r\n{body}")?;
    stream.get_mut().flush()
}

/// What the doctor says of the server, with these certificates as those of the machine.
fn doctor(url: &str, roots: &std::path::Path, data: &std::path::Path) -> String {
    let doctor = Command::new(env!("CARGO_BIN_EXE_keepsake"))
        .args(["doctor", "--data"])
        .arg(data)
        .env("KEEPSAKE_EMBEDDING_MODEL", "http:small")
        .env("KEEPSAKE_EMBEDDING_HTTP_URL", url)
        .env("SSL_CERT_FILE", roots)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    said.lines().find(|line| line.contains("embedder")).unwrap_or(&said).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_trusted_by_the_certificates_of_the_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    crate::grpc::client::Service::on(&data).await.stop().await;
    let (url, own) = serve();
    let (trusted, other) = (folder.path().join("own.pem"), folder.path().join("other.pem"));
    std::fs::write(&trusted, own).unwrap();
    std::fs::write(&other, serve().1).unwrap();
    let said = doctor(&url, &trusted, &data);
    assert!(said.contains("2 numbers, 3 tokens"), "{said}");
    let said = doctor(&url, &other, &data);
    assert!(said.contains("cannot connect") && said.contains("certificate"), "{said}");
    std::fs::write(&other, "").unwrap();
    let said = doctor(&url, &other, &data);
    assert!(said.contains("no root certificates"), "{said}");
}
