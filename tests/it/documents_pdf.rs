//! PDF is read by a process of its own, and nothing in one harms the process that asks.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use keepsake::extract::{PdfError, PdfLimits, pdf};

/// A PDF of these objects, numbered from 1; the first is the catalog.
fn pdf_of(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut places = Vec::new();
    for (object, number) in objects.iter().zip(1..) {
        places.push(file.len());
        file.extend(format!("{number} 0 obj\n").as_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    let count = places.len() + 1;
    file.extend(format!("xref\n0 {count}\n0000000000 65535 f \n").as_bytes());
    for place in places {
        file.extend(format!("{place:010} 00000 n \n").as_bytes());
    }
    let end = format!("trailer\n<< /Size {count} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n");
    file.extend(end.as_bytes());
    file.extend(b"%%EOF\n");
    file
}

fn stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", bytes.len()).into_bytes();
    object.extend(bytes);
    object.extend(b"\nendstream");
    object
}

const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica \
                    /Encoding /WinAnsiEncoding >>";

/// The objects of a document whose pages show these contents: the catalog, the tree of pages, the
/// font, then two for each page, then `more`, which pages know as forms `F0`, `F1`, …
fn objects(contents: &[Vec<u8>], more: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let kids: Vec<_> = (0..contents.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let forms =
        (0..more.len()).map(|form| format!("/F{form} {} 0 R", 4 + 2 * contents.len() + form));
    let forms = forms.collect::<Vec<_>>().join(" ");
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {} /MediaBox [0 0 612 792] /Resources \
             << /Font << /T 3 0 R >> /XObject << {forms} >> >> >>",
            kids.join(" "),
            kids.len()
        )
        .into_bytes(),
        FONT.as_bytes().to_vec(),
    ];
    for (content, page) in contents.iter().zip(0..) {
        let page = format!("<< /Type /Page /Parent 2 0 R /Contents {} 0 R >>", 5 + 2 * page);
        objects.extend([page.into_bytes(), content.clone()]);
    }
    objects.extend(more);
    objects
}

/// A page that shows lines of text.
fn page(lines: &[&str]) -> Vec<u8> {
    let shown = lines.iter().map(|line| format!("({line}) Tj 0 -20 Td "));
    let content = format!("BT /T 12 Tf 72 720 Td {}ET", shown.collect::<String>());
    stream("", content.as_bytes())
}

fn pages(contents: &[Vec<u8>]) -> Vec<u8> {
    pdf_of(&objects(contents, Vec::new()), "")
}

async fn read(bytes: Vec<u8>, limits: PdfLimits) -> Result<keepsake::chunks::Extract, PdfError> {
    pdf(Path::new(env!("CARGO_BIN_EXE_keepsake")), bytes, limits).await
}

#[track_caller]
fn blamed(error: &PdfError, expected: &str) {
    assert!(error.is_of_the_document());
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn the_text_of_a_pdf_stands_page_by_page() {
    let empty = stream("", b"");
    let file = pages(&[
        page(&["Night trains run again.", "They leave at nine."]),
        empty,
        page(&["Caf\\351 at the station."]),
    ]);
    let extract = read(file, PdfLimits::DEFAULT).await.unwrap();
    let lines: Vec<_> = extract.text.lines().filter(|line| !line.is_empty()).collect();
    let expected = ["Night trains run again.", "They leave at nine.", "Café at the station."];
    assert_eq!(lines, expected);
    let headings = extract.headings.iter().map(|heading| {
        let first: String = extract.text[heading.at..].chars().take(4).collect();
        format!("{}:{}:{first}", heading.level, heading.text)
    });
    assert_eq!(headings.collect::<Vec<_>>(), ["1:Page 1:Nigh", "1:Page 3:Café"]);
    assert!(!extract.verbatim);
}

#[tokio::test]
async fn what_is_no_pdf_is_told() {
    let whole = pages(&[page(&["Night trains run again."])]);
    for bytes in [Vec::new(), b"no PDF at all".to_vec(), vec![0; 100_000], whole[..200].to_vec()] {
        let error = read(bytes, PdfLimits::DEFAULT).await.unwrap_err();
        blamed(&error, "no PDF that can be read");
    }
}

#[tokio::test]
async fn one_with_a_password_is_told() {
    let mut all = objects(&[page(&["secret"])], Vec::new());
    let key = "00".repeat(32);
    let lock = format!("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{key}> /U <{key}> >>");
    all.push(lock.into_bytes());
    let file = pdf_of(&all, &format!("/Encrypt {} 0 R /ID [<01> <01>]", all.len()));
    blamed(&read(file, PdfLimits::DEFAULT).await.unwrap_err(), "with a password only");
}

#[tokio::test]
async fn one_that_leads_in_circles_ends_with_its_process() {
    // A form that shows itself, and a tree of pages that holds itself.
    let form =
        |content: &str| stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", content.as_bytes());
    let circle = pdf_of(&objects(&[stream("", b"/F0 Do")], vec![form("/F0 Do")]), "");
    let mut tree = objects(&[page(&["a"])], Vec::new());
    tree[1] = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000000 >>".to_vec();
    let nested = "[".repeat(1_000_000).into_bytes();
    let deep = pdf_of(&objects(&[page(&["a"])], vec![nested]), "");
    for file in [circle, pdf_of(&tree, ""), deep] {
        if let Err(error) = read(file, PdfLimits::DEFAULT).await {
            assert!(error.is_of_the_document(), "{error}");
        }
    }
}

/// Each form shows the next one thirty times; the last one shows nothing.
fn endless() -> Vec<u8> {
    let forms = (1..=8).map(|next| {
        let content = if next < 8 { format!("/F{next} Do ").repeat(30) } else { String::new() };
        stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", content.as_bytes())
    });
    pdf_of(&objects(&[stream("", b"/F0 Do")], forms.collect()), "")
}

#[tokio::test]
async fn one_that_computes_for_ever_is_ended() {
    let limits = PdfLimits { cpu_seconds: 1, ..PdfLimits::DEFAULT };
    blamed(&read(endless(), limits).await.unwrap_err(), "longer than 1 s");
}

#[tokio::test]
async fn a_process_that_does_not_answer_in_time_is_ended() {
    // By this it is known among other processes.
    let memory_bytes = (1 << 30) + 12_345;
    let time = Duration::from_secs(1);
    let limits = PdfLimits { memory_bytes, time, ..PdfLimits::DEFAULT };
    blamed(&read(endless(), limits).await.unwrap_err(), "longer than 1 s");
    let lines = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("cmdline")).ok());
    assert_eq!(lines.filter(|line| line.contains(&memory_bytes.to_string())).count(), 0);
}

fn packed(bytes: &[u8], times: usize) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..times {
        packed.write_all(bytes).unwrap();
    }
    packed.finish().unwrap()
}

#[tokio::test]
async fn one_that_unpacks_to_too_much_is_told() {
    let bomb = packed(&vec![b' '; 1 << 20], 100);
    let file = pages(&[stream("/Filter /FlateDecode", &bomb)]);
    blamed(&read(file, PdfLimits::DEFAULT).await.unwrap_err(), "unpacks to more than 64 MiB");
    let twice = packed(&bomb, 1);
    let file = pages(&[stream("/Filter [/FlateDecode /FlateDecode]", &twice)]);
    blamed(&read(file, PdfLimits::DEFAULT).await.unwrap_err(), "packed twice");
}

#[tokio::test]
async fn one_that_takes_more_memory_than_allowed_ends_with_its_process() {
    let content = "BT (a) Tj ET ".repeat(4_000_000);
    let file = pages(&[stream("/Filter /FlateDecode", &packed(content.as_bytes(), 1))]);
    let limits = PdfLimits { memory_bytes: 192 << 20, ..PdfLimits::DEFAULT };
    let error = read(file, limits).await.unwrap_err();
    blamed(&error, "would take more than 192 MiB of memory");
    assert!(error.to_string().contains("signal: 6"), "{error}");
}

#[tokio::test]
async fn more_text_than_allowed_is_refused() {
    let file = pages(&[page(&["Night trains run again."; 30])]);
    let limits = PdfLimits { text_bytes: 100, ..PdfLimits::DEFAULT };
    blamed(&read(file, limits).await.unwrap_err(), "more than 100 bytes");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_not_the_fault_of_the_document() {
    let error = pdf(Path::new("/nowhere"), Vec::new(), PdfLimits::DEFAULT).await.unwrap_err();
    assert!(!error.is_of_the_document(), "{error}");
}
