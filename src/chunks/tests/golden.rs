//! What chunks of small documents look like: headings in brackets, tokens, text.

use expect_test::{ExpectFile, expect_file};

use super::{chunking, shown};
use crate::chunks::searchable;
use crate::types::MediaType;

#[track_caller]
fn check(media: MediaType, text: &str, expected: &ExpectFile) {
    expected.assert_eq(&shown(media, text, chunking(32, 8)));
}

const MARKDOWN: &str = "\
# Trains

Night trains run again between Lisbon and Madrid. They leave at nine in the evening and arrive \
before breakfast.

## Tickets

- Seats from 35 euros, beds from 80.
- Children under four travel free of charge on the lap of an adult.
- Dogs need a ticket of their own.

```sh
# not a heading
book --from Lisbon --to Madrid --date 2024-05-01
```

## Luggage

Two bags.
";

#[test]
fn markdown() {
    check(MediaType::Markdown, MARKDOWN, &expect_file!["golden/markdown.txt"]);
}

#[test]
fn plain_text_that_is_wrapped() {
    let text = "The committee met on Tuesday to discuss the plans for the new\nstation. It was \
                agreed that the old hall is kept as a market\nwith forty stalls. Nobody spoke \
                against it.\n\nThe next meeting is in May.\n";
    check(MediaType::Plain, text, &expect_file!["golden/plain_text_that_is_wrapped.txt"]);
}

#[test]
fn html() {
    let text = "<html><head><title>Trains</title><style>p{}</style></head><body>\
        <nav><a href=/>Home</a></nav><h1>Night trains</h1><p>They run <b>again</b> between Lisbon \
        &amp; Madrid,\n every night.</p><h2>Tickets</h2><ul><li>Seats: 35 €<li>Beds: 80 €</ul>\
        <table><tr><td>Mon<td>21:00</tr><tr><td>Tue<td>22:00</table><pre>a\n  b</pre>\
        <script>alert(1)</script><h2>Luggage</h2>Two bags.</body></html>";
    check(MediaType::Html, text, &expect_file!["golden/html.txt"]);
}

#[test]
fn csv() {
    let text = "name,city,note\nAnn,Lisbon,\"likes trains,\nand the sea\"\nBob,Madrid,has two dogs \
                and a cat\nEve,Porto,\"a very long note that goes on and on, about this and that, \
                and some more of it, until it no longer fits into one chunk\"\nMax,Faro,none\n";
    check(MediaType::Csv, text, &expect_file!["golden/csv.txt"]);
}

#[test]
fn json_lines() {
    let text = "{\"name\": \"Ann\", \"city\": \"Lisbon\"}\n{\"name\": \"Bob\", \
                \"city\": \"Madrid\", \"dogs\": 2}\n{\"name\": \"Eve\"}\n\
                {\"name\": \"Max\", \"city\": \"Faro\"}\n";
    check(MediaType::JsonLines, text, &expect_file!["golden/json_lines.txt"]);
}

#[test]
fn source_code() {
    let text = "use std::fmt;\n\n/// A train.\nstruct Train {\n    name: String,\n\n    seats: u32,\
                \n}\n\nimpl Train {\n    fn is_full(&self) -> bool {\n        self.seats == 0\n    \
                }\n}\n";
    check(MediaType::Source, text, &expect_file!["golden/source_code.txt"]);
}

#[test]
fn title_and_headings_are_searched_once() {
    let heading = ["Trains".to_owned(), "Tickets".to_owned(), "Tickets".to_owned()];
    assert_eq!(searchable("Trains", &heading, "Seats"), "Trains\nTickets\nSeats");
    assert_eq!(searchable("", &[], "Seats"), "Seats");
}
