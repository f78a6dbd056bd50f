use clap::{CommandFactory, Parser};

use crate::cli::{
    Cli, ClientArgs, Command, Error, Settings, TenantCommand,
    session::append::parse_lines,
    tenant::{add_known_models, parse_model},
    wire::{parse_duration, parse_time, show_time},
};
use crate::proto::v1;

#[test]
fn the_commands_are_consistent() {
    Cli::command().debug_assert();
}

#[track_caller]
fn check(line: &str, is_right: bool) {
    let parsed = Cli::try_parse_from(line.split_whitespace());
    assert_eq!(parsed.is_ok(), is_right, "{line}: {:?}", parsed.err().map(|e| e.to_string()));
}

#[test]
fn flags_that_belong_together_are_asked_for() {
    check("keepsake context --user u question", true);
    check("keepsake context --session s --json", true);
    check("keepsake context question", false);
    check("keepsake session append s --role user --text hello", true);
    check("keepsake session append s --text hello", false);
    check("keepsake session append s --role tool --text hello", false);
    check("keepsake session delete s --seqs 3,4", true);
    check("keepsake session delete s --seqs 3,x", false);
    check("keepsake session set s --ttl 30d --label a=b", true);
    check("keepsake context --user u --shares 10,50,40", true);
    check("keepsake context --user u --shares 10,50", false);
    check("keepsake context --user u --shares 10,50,10,30 --collection a --collection b", true);
    check("keepsake context --user u --shares 10,50,10,20,10", false);
    check("keepsake key create --scopes read,admin", true);
    check("keepsake key create --scopes root", false);
    check("keepsake eval --data d --set s --out o --budgets 512,1024 --retrieval words", true);
    check("keepsake import", false);
    check("keepsake --json --address http://x:1 search --user u q", true);
}

#[test]
fn a_number_of_entries_is_at_least_one() {
    for command in ["jobs", "session list", "session summaries s", "tenant list", "key list"] {
        check(&format!("keepsake {command} --limit 0"), false);
        check(&format!("keepsake {command} --limit 7"), true);
    }
}

#[test]
fn every_shell_has_completions() {
    use clap::ValueEnum;
    for shell in clap_complete::Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "keepsake", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("summaries") && script.contains("limit"), "{shell}");
    }
}

#[test]
fn a_model_that_is_added_leaves_the_others_of_the_tenant() {
    let models = |tokenizers: &[(&str, &str)]| -> Vec<v1::ModelPolicy> {
        let model = |(name, tokenizer): &(&str, &str)| parse_model(&format!("{name}={tokenizer}"));
        tokenizers.iter().map(model).collect::<Result<_, _>>().unwrap()
    };
    let known = models(&[("a", "o200k_base"), ("b", "cl100k_base")]);
    let known = v1::Policy { models: known, ..Default::default() };
    let new = models(&[("b", "o200k_base"), ("c", "cl100k_base")]);
    let mut policy = v1::Policy { models: new, ..Default::default() };
    add_known_models(&mut policy, known);
    let all = [("a", "o200k_base"), ("b", "o200k_base"), ("c", "cl100k_base")];
    assert_eq!(policy.models, models(&all));
}

#[track_caller]
fn check_policy(json: &str, expected: &str) {
    let line = ["keepsake", "tenant", "update", "--policy", json];
    let Command::Tenant(TenantCommand::Update { policy, .. }) =
        Cli::try_parse_from(line).unwrap().command
    else {
        panic!("{line:?} updates a tenant")
    };
    assert_eq!(policy.read().unwrap().1.join(" "), expected, "{json}");
}

#[test]
fn a_policy_in_json_sets_what_it_names_and_nothing_beside_it() {
    check_policy(r#"{"summaries": {"idleMinutes": 30}}"#, "summaries.idle_minutes");
    check_policy(r#"{"shares": {"summaryPercent": 20}, "version": 3}"#, "shares.summary_percent");
    check_policy(r#"{"summaries": null, "models": []}"#, "models");
    check_policy(
        r#"{"retrieval": {"mode": "RETRIEVAL_MODE_WORDS"}, "modelDefault": "gpt-4o"}"#,
        "retrieval.mode model_default",
    );
}

#[track_caller]
fn check_time(text: &str, expected: Option<&str>) {
    let parsed = parse_time(text).ok();
    assert_eq!(parsed.as_ref().map(|time| show_time(Some(time))).as_deref(), expected, "{text}");
}

#[test]
fn times_are_read_in_utc_unless_they_say_otherwise() {
    check_time("2023-05-08T13:56:00Z", Some("2023-05-08T13:56:00Z"));
    check_time("2023-05-08T13:56:00+02:00", Some("2023-05-08T11:56:00Z"));
    check_time("2023-05-08T13:56:00", Some("2023-05-08T13:56:00Z"));
    check_time("2023-05-08", Some("2023-05-08T00:00:00Z"));
    check_time("1969-12-31T23:59:59Z", Some("1969-12-31T23:59:59Z"));
    check_time("yesterday", None);
}

#[test]
fn lengths_of_time_have_a_unit() {
    assert_eq!(parse_duration("12h").map(|d| d.seconds), Ok(43_200));
    assert!(parse_duration("12").is_err() && parse_duration("x").is_err());
    assert!(parse_duration("99999999999999999d").is_err());
}

fn settings(address: &str, file: &str) -> Result<Settings, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.toml");
    std::fs::write(&path, file).unwrap();
    let args = ClientArgs {
        address: Some(address.to_owned()).filter(|address| !address.is_empty()),
        api_key: None,
        ca_cert: None,
        client_config: Some(path),
        timeout: 60,
        json: false,
    };
    Settings::resolve(&args)
}

#[test]
fn a_flag_stands_over_the_settings_file() {
    let file = "address = 'http://a:1'\napi_key = 'k'";
    assert_eq!(settings("b:2", file).unwrap().address, "http://b:2");
    let read = settings("", file).unwrap();
    assert_eq!((read.address.as_str(), read.api_key.as_deref()), ("http://a:1", Some("k")));
}

#[test]
fn an_unknown_setting_is_refused() {
    let error = settings("", "adress = 'http://a:1'").unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("adress"), "{error}");
}

#[test]
fn lines_to_append_take_both_forms_and_name_every_mistake() {
    let good = r#"{"role":"ROLE_USER","parts":[{"text":{"text":"a"}}],"externalId":"e"}
                  {"role":"assistant","content":"b","created_at":"2024-01-02","turn":"t2"}"#;
    let turns = parse_lines(good, "stdin").unwrap();
    assert_eq!(turns.iter().map(|t| t.external_id.as_str()).collect::<Vec<_>>(), ["e", "t2"]);
    let bad = "{\n{\"role\":\"user\",\"text\":\" \"}\n{\"role\":\"system\",\"text\":\"x\"}";
    let error = parse_lines(bad, "f").unwrap_err().to_string();
    assert_eq!(error.lines().count(), 3, "{error}");
    assert!(error.contains("f:1:") && error.contains("f:3: instructions"), "{error}");
}
