//! Identifiers are found whole and by their parts, and the whole is above a part.

use super::check_first as check;
use crate::retrieve::words::{Side, each_word};

/// Checks which words are given beside the plain ones of a text.
#[track_caller]
fn check_again(text: &str, expected: &str) {
    let mut words = Vec::new();
    each_word(text, Side::Index, &mut |word| {
        if word.again {
            words.push(word.text.to_owned());
        }
    });
    assert_eq!(words.join(" "), expected, "{text}");
}

#[test]
fn names_of_code_are_cut_at_humps_and_marks() {
    check_again("snake_case", "snake case");
    check_again("camelCase", "camel case");
    check_again("HTTPServerError", "http server error");
    check_again("parseHTTPRequest", "parse http request");
    check_again("ERR_CONN_RESET", "err conn reset");
    check_again("std::collections", "std::collections");
    check_again("URLs, APIs, IDs and OK", "");
    check_again("A plain sentence, and/or a well-known one: nothing more.", "");
}

#[test]
fn paths_addresses_and_numbers_are_given_whole() {
    check_again("src/retrieve/mod.rs", "mod rs src/retrieve/mod.rs");
    check_again("/etc/hosts", "etc/hosts");
    check_again("C:\\Users\\Ann", "c:\\users\\ann");
    check_again("anna.schmidt@example.com", "anna schmidt example com anna.schmidt@example.com");
    check_again("https://www.example.org/docs/", "www example org example.org/docs");
    check_again("KX7-4410", "kx7-4410");
    check_again("at 10:30", "10:30");
    check_again("file2.txt", "file2.txt");
}

#[test]
fn versions_are_given_without_their_letter_and_their_patch() {
    check_again("v1.19.0", "1.19.0 1.19");
    check_again("1.19.0", "1.19");
    check_again("3.14", "");
    check_again("192.168.1.10", "192.168");
}

#[test]
fn hashes_are_given_by_their_beginning() {
    check_again("9fceb02d0ae598e95dc970b74767f19372d61af8", "9fceb02");
    check_again(
        "550e8400-e29b-41d4-a716-446655440000",
        "550e840 550e8400-e29b-41d4-a716-446655440000 …55440000",
    );
    check_again("effaced 12345678", "");
}

#[test]
fn languages_of_programs_keep_their_marks() {
    check_again("C++ and C# or F#.", "c++ c# f#");
    check_again("We use .NET (.env too).", ".net .env");
    check_again("issue #12, wait ...and go. Then", "");
}

#[test]
fn numbers_in_groups_are_joined() {
    check_again("+49 170 1234567", "491701234567 …01234567");
    check_again("0170-1234567", "0170-1234567 01701234567 …01234567");
    check_again("0049 170 1234567", "491701234567 …01234567");
    check_again("(415) 555-2671", "555-2671 4155552671 …55552671");
    check_again("4155552671", "…55552671");
    check_again("2023-05-07", "2023-05-07");
    check_again("in 2023 2024", "");
    check_again("1 2 3", "");
}

#[test]
fn a_whole_identifier_is_above_its_parts() {
    check(
        "snake_case_name",
        "The name of the snake in this case is Monty.
        > Please rename it to snake_case_name in the module.
        A snake crossed the path, in case you did not see it.",
    );
    check(
        "Where is HTTPServerError raised?",
        "The server had an error over http again.
        > HTTPServerError is raised by the client.
        An error of the server is no news.",
    );
    check(
        "src/retrieve/mod.rs",
        "Look at src/context/mod.rs and at retrieve.
        > The change is in src/retrieve/mod.rs only.
        mod.rs is in src, and so is retrieve/rank.rs.",
    );
    check(
        "what broke in v1.19.0?",
        "We went from 1.18.0 to v1.19 in spring.
        > It broke with 1.19.0 on all nodes.
        The tag v1.20.0 broke nothing.",
    );
    check(
        "KX7-4410",
        "The KX7 costs 4410 euros.
        > My order is KX7-4410 and did not come.
        Order KX7-4411 came.",
    );
}

#[test]
fn a_part_finds_the_identifier() {
    let turns = "We had lunch by the river.
        > It raised HTTPServerError in parse_header at src/net/client2.rs with ERR_CONN_RESET.
        The train was late.";
    for part in ["server", "header", "client2.rs", "reset", "src/net", "conn", "parse header"] {
        check(part, turns);
    }
}

#[test]
fn codes_of_errors_are_found() {
    check("What was E0308 about?", "E0277 again.\n> rustc says error[E0308] here.\nE0309, no.");
    check("ERR_CONN_RESET", "A reset of the conn.\n> I see ERR_CONN_RESET.\nERR_CONN_REFUSED");
}

#[test]
fn a_telephone_is_found_however_it_is_written() {
    let ways =
        ["+49 170 1234567", "0170-1234567", "0170/1234567", "01701234567", "(0170) 123 45 67"];
    for said in ways {
        for asked in ways {
            let turns = format!("Call Ben, 0171 7654321.\n> My number is {said}, call me.\nOk.");
            check(&format!("Whose number is {asked}?"), &turns);
        }
    }
}

#[test]
fn addresses_are_found() {
    let turns = "Write to anna@example.org or schmidt@example.com.
        > Write to anna.schmidt@example.com instead.
        Anna Schmidt has an example.";
    check("anna.schmidt@example.com", turns);
    let turns = "See https://docs.example.org/guide/start for it.
        > See https://docs.example.org/guide/install for that.
        Install the docs with the guide, for example.";
    check("docs.example.org/guide/install", turns);
    check("https://docs.example.org/guide/install/", turns);
}

#[test]
fn languages_of_programs_are_told_apart() {
    let turns = "I learn C at school, and vitamin C helps.
        > I write C++ at work.
        My brother writes C# on .NET at his desk.";
    check("C++", turns);
    let moved = turns.replace("> ", "").replace("My brother", "> My brother");
    check("C#", &moved);
    check(".NET", &moved);
}

#[test]
fn a_short_hash_finds_the_long_one() {
    let turns = "The commit is 8fceb02d0ae598e95dc970b74767f19372d61af8.
        > It was reverted in 9fceb02d0ae598e95dc970b74767f19372d61af8.
        Then 7fceb02.";
    check("9fceb02", turns);
    check("9fceb02d0ae", turns);
    let turns = "Job 550e8400-e29b-41d4-a716-446655440001 is done.
        > Job 550e8400-e29b-41d4-a716-446655440000 failed.";
    check("550e8400-e29b-41d4-a716-446655440000", turns);
}
