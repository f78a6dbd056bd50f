//! Pages hold everything once, and their tokens fit one query of one tenant.

use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, assistant, fields, reason, text, user};

const SCOPES: [pb::KeyScope; 3] = [pb::KeyScope::Read, pb::KeyScope::Write, pb::KeyScope::Admin];

async fn turns(service: &Service, request: &pb::ListTurnsRequest) -> Vec<u64> {
    let (mut seqs, mut request) = (Vec::new(), request.clone());
    loop {
        let page = service.memory().list_turns(request.clone()).await.unwrap().into_inner();
        let size = if request.page_size == 0 { 100 } else { request.page_size as usize };
        assert!(page.turns.len() <= size);
        assert!(!page.turns.is_empty() || page.next_page_token.is_empty());
        seqs.extend(page.turns.iter().map(|turn| turn.seq));
        if page.next_page_token.is_empty() {
            return seqs;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn turns_come_once_each_in_both_directions() {
    let service = Service::in_memory().await;
    let mut memory = service.memory();
    let many = (0..130).map(|n| user(&format!("turn {n}"))).collect();
    memory.append_turns(append("s", many)).await.unwrap();
    let again = pb::AppendTurnsRequest {
        replace_from_seq: 3,
        ..append("s", vec![assistant("instead"), user("and on")])
    };
    memory.append_turns(again).await.unwrap();
    let erase =
        pb::DeleteTurnsRequest { session_id: "s".into(), seqs: vec![2, 5], ..Default::default() };
    memory.delete_turns(erase).await.unwrap();
    let living = vec![1, 131, 132];
    let all: Vec<u64> = (1..=132).filter(|seq| ![2, 5].contains(seq)).collect();
    for page_size in [0, 1, 2, 64, 1_000] {
        for newest_first in [false, true] {
            for (include_superseded, wanted) in [(false, &living), (true, &all)] {
                let request = pb::ListTurnsRequest {
                    session_id: "s".into(),
                    page_size,
                    include_superseded,
                    newest_first,
                    ..Default::default()
                };
                let mut found = turns(&service, &request).await;
                if newest_first {
                    found.reverse();
                }
                assert_eq!(&found, wanted, "{page_size} {newest_first} {include_superseded}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_turns_ends_at_four_mebibytes() {
    let service = Service::in_memory().await;
    let opaque = pb::OpaquePart {
        provider: "tests".into(),
        json: format!("\"{}\"", "a".repeat((1 << 20) - 2)),
    };
    let part = pb::Part { kind: Some(pb::part::Kind::Opaque(opaque)) };
    let large = |parts: usize| {
        let mut turn = user("large");
        turn.parts.extend(std::iter::repeat_n(part.clone(), parts));
        turn
    };
    let sent = vec![large(3), large(3), large(1), large(1), user("small")];
    service.memory().append_turns(append("s", sent)).await.unwrap();
    let mut request = pb::ListTurnsRequest { session_id: "s".into(), ..Default::default() };
    let mut pages = Vec::new();
    loop {
        let page = service.memory().list_turns(request.clone()).await.unwrap().into_inner();
        pages.push(page.turns.iter().map(|turn| turn.seq).collect::<Vec<_>>());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(pages, [vec![1], vec![2], vec![3, 4, 5]]);
}

#[tokio::test]
async fn sessions_tenants_and_keys_come_once_each() {
    let service = Service::in_memory().await;
    let mut wanted = Vec::new();
    for n in 0..7 {
        let request = pb::AppendTurnsRequest {
            user_id: if n % 2 == 0 { "ann".into() } else { String::new() },
            ..append(&format!("s{n}"), vec![user("hello")])
        };
        service.memory().append_turns(request).await.unwrap();
        service.tenant(&format!("tenant-{n}"), &[pb::KeyScope::Read]).await;
        wanted.push(format!("s{n}"));
    }
    let of_ann: Vec<_> = wanted.iter().step_by(2).cloned().collect();
    for page_size in [0, 1, 2, 7, 1_000] {
        for (user_id, wanted) in [("", &wanted), ("ann", &of_ann)] {
            let mut request = pb::ListSessionsRequest {
                user_id: user_id.into(),
                page_size,
                ..Default::default()
            };
            let mut found = Vec::new();
            loop {
                let page = service.memory().list_sessions(request.clone()).await.unwrap();
                let page = page.into_inner();
                found.extend(page.sessions.into_iter().map(|session| session.session_id));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(&found, wanted, "{page_size}");
        }
        let mut request = pb::ListTenantsRequest { page_size, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = service.tenants().list_tenants(request.clone()).await.unwrap().into_inner();
            found.extend(page.tenants.into_iter().map(|tenant| tenant.tenant_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(found.len(), 8);
        assert!(found.is_sorted());
    }
}

#[tokio::test]
async fn a_page_of_sessions_with_long_instructions_ends_at_four_mebibytes() {
    let service = Service::in_memory().await;
    for n in 0..20 {
        let create = pb::CreateSessionRequest {
            session_id: format!("s{n:02}"),
            pinned_instructions: "a".repeat(256 << 10),
            ..Default::default()
        };
        service.memory().create_session(create).await.unwrap();
    }
    let mut request = pb::ListSessionsRequest { page_size: 1_000, ..Default::default() };
    let first = service.memory().list_sessions(request.clone()).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = service.memory().list_sessions(request).await.unwrap().into_inner();
    assert_eq!((first.sessions.len(), second.sessions.len()), (15, 5));
    assert_eq!(
        (second.sessions[0].session_id.as_str(), second.next_page_token),
        ("s15", "".into())
    );
}

#[tokio::test]
async fn keys_come_once_each() {
    let service = Service::in_memory().await;
    for _ in 0..6 {
        let create = pb::CreateApiKeyRequest { scopes: vec![1], ..Default::default() };
        service.tenants().create_api_key(create).await.unwrap();
    }
    for page_size in [0, 1, 3, 7] {
        let mut request = pb::ListApiKeysRequest { page_size, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = service.tenants().list_api_keys(request.clone()).await.unwrap().into_inner();
            found.extend(page.api_keys.into_iter().map(|key| key.key_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!((found.len(), found.is_sorted()), (7, true));
    }
}

#[tokio::test]
async fn a_token_fits_its_query_of_its_tenant_only() {
    let service = Service::in_memory().await;
    let (ours, theirs) = (service.tenant("a", &SCOPES).await, service.tenant("b", &SCOPES).await);
    for key in [&ours, &theirs] {
        for session in ["s", "t"] {
            let turns = vec![user("one"), user("two"), user("three")];
            let request =
                pb::AppendTurnsRequest { user_id: "ann".into(), ..append(session, turns) };
            service.memory_as(key).append_turns(request).await.unwrap();
        }
    }
    let mut memory = service.memory_as(&ours);
    let first = pb::ListTurnsRequest { session_id: "s".into(), page_size: 1, ..Default::default() };
    let page = memory.list_turns(first.clone()).await.unwrap().into_inner();
    let next = pb::ListTurnsRequest { page_token: page.next_page_token.clone(), ..first.clone() };
    let mut bent = page.next_page_token.clone();
    bent.replace_range(..1, if bent.starts_with('A') { "B" } else { "A" });
    let cases = [
        pb::ListTurnsRequest { session_id: "t".into(), ..next.clone() },
        pb::ListTurnsRequest { newest_first: true, ..next.clone() },
        pb::ListTurnsRequest { include_superseded: true, ..next.clone() },
        pb::ListTurnsRequest { page_token: bent, ..next.clone() },
        pb::ListTurnsRequest { page_token: "garbage!".into(), ..next.clone() },
        pb::ListTurnsRequest { page_token: "AAAA".into(), ..next.clone() },
        pb::ListTurnsRequest { page_token: "A".repeat(10_000), ..next.clone() },
    ];
    let mut refusals = Vec::new();
    for request in cases {
        refusals.push(memory.list_turns(request).await.unwrap_err());
    }
    refusals.push(service.memory_as(&theirs).list_turns(next.clone()).await.unwrap_err());
    let sessions = pb::ListSessionsRequest { page_size: 1, ..Default::default() };
    let page = memory.list_sessions(sessions.clone()).await.unwrap().into_inner();
    let token = page.next_page_token;
    let of_user = pb::ListSessionsRequest {
        user_id: "ann".into(),
        page_token: token.clone(),
        ..Default::default()
    };
    refusals.push(memory.list_sessions(of_user).await.unwrap_err());
    let keys = pb::ListApiKeysRequest { page_token: token, ..Default::default() };
    refusals.push(service.tenants_as(&ours).list_api_keys(keys).await.unwrap_err());
    for status in refusals {
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(reason(&status), "PAGE_TOKEN_INVALID");
        assert_eq!(fields(&status), ["page_token"]);
    }
    let resized = pb::ListTurnsRequest { page_size: 5, ..next };
    let seqs = memory.list_turns(resized).await.unwrap().into_inner().turns;
    assert_eq!(seqs.len(), 2, "the size of a page may change");

    assert_eq!(seqs[0].parts, [text("two")]);
}
