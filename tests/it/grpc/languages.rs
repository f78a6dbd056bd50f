//! The language of a tenant: detected, or fixed by its policy.

use keepsake::proto::v1 as pb;

use super::Service;
use super::client::{append, user};

on_engines! {
    a_language_that_the_policy_fixes_reads_old_turns_and_new_ones
    a_short_turn_is_read_as_those_before_it
}

async fn fix(service: &Service, language: &str) {
    let retrieval = pb::RetrievalPolicy { language: language.into(), ..Default::default() };
    let update = pb::UpdateTenantRequest {
        policy: Some(pb::Policy { retrieval: Some(retrieval), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["retrieval.language".into()] }),
        ..Default::default()
    };
    service.tenants().update_tenant(update).await.unwrap();
}

/// The seqs that a search in a session, or in all of its user's, finds.
async fn found(service: &Service, scope: pb::Scope, query: &str) -> Vec<u64> {
    let request = pb::SearchRequest {
        session_id: "s".into(),
        query: query.into(),
        scope: scope.into(),
        ..Default::default()
    };
    let answer = service.memory().search(request).await.unwrap().into_inner();
    answer.hits.iter().map(|hit| hit.turn.as_ref().map_or(0, |turn| turn.seq)).collect()
}

async fn a_language_that_the_policy_fixes_reads_old_turns_and_new_ones(service: Service) {
    let scopes = [pb::Scope::Session, pb::Scope::User];
    let say = async |words: &str| {
        let request =
            pb::AppendTurnsRequest { user_id: "u".into(), ..append("s", vec![user(words)]) };
        service.memory().append_turns(request).await.unwrap();
    };
    // Too short to show a language: taken for English, whose stems do not know these forms.
    say("Zwei Häuser").await;
    for scope in scopes {
        assert_eq!(found(&service, scope, "Haus").await, [0u64; 0]);
    }
    fix(&service, "de").await;
    for scope in scopes {
        assert_eq!(found(&service, scope, "Haus").await, [1]);
    }
    say("Drei Bücher").await;
    for scope in scopes {
        // Its neighbour comes behind it.
        assert_eq!(found(&service, scope, "Haus").await[0], 1);
        assert_eq!(found(&service, scope, "Buch").await[0], 2);
    }
    // Back to detection: as if the policy had never said anything.
    fix(&service, "").await;
    for scope in scopes {
        assert_eq!(found(&service, scope, "Buch").await, [0u64; 0]);
        assert_eq!(found(&service, scope, "Bücher").await[0], 2);
    }
}

async fn a_short_turn_is_read_as_those_before_it(service: Service) {
    let long = "Gestern sind wir mit dem Fahrrad an den See gefahren und haben dort gebadet.";
    let request = append("s", vec![user(long), user("Zwei Häuser")]);
    service.memory().append_turns(request).await.unwrap();
    assert_eq!(found(&service, pb::Scope::Session, "Haus").await[0], 2);
    service.memory().append_turns(append("s", vec![user("Drei Bücher")])).await.unwrap();
    assert_eq!(found(&service, pb::Scope::Session, "Buch").await[0], 3);
}
