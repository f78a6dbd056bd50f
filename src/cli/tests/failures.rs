use expect_test::expect;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::cli::{Client, Error, Settings};
use crate::proto::v1::GetTenantRequest;

#[track_caller]
fn check(code: Code, exit_code: u8) {
    assert_eq!(Error::from(Status::new(code, "why")).exit_code(), exit_code, "{code:?}");
}

#[test]
fn each_kind_of_refusal_has_its_exit_code() {
    check(Code::Internal, 1);
    check(Code::Unknown, 1);
    check(Code::InvalidArgument, 2);
    check(Code::Unavailable, 3);
    check(Code::Unauthenticated, 4);
    check(Code::PermissionDenied, 4);
    check(Code::NotFound, 5);
    check(Code::Aborted, 6);
    check(Code::AlreadyExists, 6);
    check(Code::FailedPrecondition, 6);
    check(Code::ResourceExhausted, 7);
    check(Code::DeadlineExceeded, 8);
}

#[test]
fn a_deadline_that_the_client_kept_is_a_deadline() {
    assert_eq!(Error::from(Status::cancelled("Timeout expired")).exit_code(), 8);
    assert_eq!(Error::from(Status::cancelled("gone")).exit_code(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_unavailable_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // Whoever connects is cut off at once.
    let cut = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let settings = Settings {
        address,
        api_key: None,
        ca_cert: None,
        timeout: std::time::Duration::from_secs(20),
    };
    let code = match Client::connect(&settings).await {
        Err(error) => error.exit_code(),
        Ok(mut client) => {
            let asked = client.tenants.get_tenant(GetTenantRequest::default()).await;
            Error::from(asked.unwrap_err()).exit_code()
        }
    };
    assert_eq!(code, 3);
    cut.abort();
}

#[test]
fn bad_flags_are_2_and_a_closed_pipe_is_no_failure() {
    assert_eq!(Error::Usage("no".to_owned()).exit_code(), 2);
    let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    assert_eq!(Error::from(closed).exit_code(), 0);
}

fn refusal() -> Error {
    let mut details = ErrorDetails::new();
    details.set_error_info("INVALID_FIELDS", "keepsake", std::collections::HashMap::new());
    details.add_bad_request_violation("turns[0].role", "must be given");
    details.add_bad_request_violation("session_id", "must not be empty");
    Error::from(Status::with_error_details(Code::InvalidArgument, "2 fields are wrong", details))
}

#[test]
fn a_refusal_names_its_reason_and_every_field() {
    expect![[r#"
        error: 2 fields are wrong (INVALID_FIELDS)
          turns[0].role: must be given
          session_id: must not be empty"#]]
    .assert_eq(&refusal().to_text());
}

#[test]
fn a_refusal_as_json_holds_the_same() {
    let json = refusal().to_json();
    assert_eq!(json["code"], "INVALID_ARGUMENT");
    assert_eq!(json["reason"], "INVALID_FIELDS");
    assert_eq!(json["exit_code"], 2);
    assert_eq!(json["fields"][1]["field"], "session_id");
}
