//! The binary as a service manager and a container see it.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
    }
}

fn keepsake() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keepsake"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn it_tells_the_service_manager_and_probes_when_it_is_ready_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("http://{free}");
    let health = || keepsake().args(["health", "--address", &address]).status().unwrap().code();
    assert_eq!(health(), Some(3), "nobody serves yet");
    let mut server = keepsake();
    server.args(["serve", "--listen", &free.to_string(), "--data"]).arg(folder.path().join("data"));
    server.env("NOTIFY_SOCKET", &path).env("KEEPSAKE_EMBEDDING_MODEL", "none");
    let mut server = Running(server.spawn().unwrap());
    assert!(told().contains("READY=1"));
    assert_eq!(health(), Some(0));
    let id = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(told().contains("STOPPING=1"));
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    assert_eq!(health(), Some(3));
}
