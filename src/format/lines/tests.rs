//! Texts of every layout, and the documents they are cut into.

use super::*;

fn cut(text: &str, layout: Layout) -> Vec<(String, usize, usize, bool)> {
    pieces(text.as_bytes(), layout, 1 << 20)
        .map(|piece| {
            let text = String::from_utf8_lossy(piece.bytes).into_owned();
            (text, piece.line, piece.lines, piece.broken.is_some())
        })
        .collect()
}

#[test]
fn events_stand_one_a_line() {
    let found = cut("{\"a\":1}\n\n 5 \r\nnot json\n\"x\"", Layout::Lines);
    let texts: Vec<_> = found.iter().map(|(text, line, ..)| (text.as_str(), *line)).collect();
    assert_eq!(texts, [("{\"a\":1}", 1), ("5", 3), ("not json", 4), ("\"x\"", 5)]);
}

#[test]
fn change_documents_may_take_several_lines_or_share_one() {
    let found = cut("{\"change\":[\n]}{\"change\":[]}\n{\"change\":[]}", Layout::Values);
    let lines: Vec<_> = found.iter().map(|(_, line, lines, _)| (*line, *lines)).collect();
    assert_eq!(lines, [(1, 2), (2, 1), (3, 1)]);
}

#[test]
fn a_wal2json_transaction_is_one_piece() {
    let text = "{\"action\":\"B\"}\n{\"action\":\"M\"}\n{\"action\":\"C\"}\n{\"action\":\"T\",\"table\":\"a\"}\n";
    let lines: Vec<_> = cut(text, Layout::Values).iter().map(|(_, line, lines, _)| (*line, *lines)).collect();
    assert_eq!(lines, [(1, 3), (4, 1)]);
}

#[test]
fn a_broken_piece_spoils_no_neighbour() {
    let text = "{\"change\":[}\n{\"change\":[]}\ngarbage\nmore\n{\"change\":\n  [}\n  ]}\n{\"change\":[]}";
    let lines: Vec<_> = cut(text, Layout::Values).iter().map(|(_, line, lines, _)| (*line, *lines)).collect();
    assert_eq!(lines, [(1, 1), (2, 1), (3, 1), (4, 1), (5, 3), (8, 1)]);
}

#[test]
fn a_transaction_without_its_end_is_broken() {
    let text = "{\"action\":\"B\"}\n{\"action\":\"B\"}\n{\"action\":\"C\"}";
    let found = cut(text, Layout::Values);
    assert_eq!(found.iter().map(|(.., broken)| *broken).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn yaml_documents_stand_between_their_marks() {
    let text = "# two people\n---\nname: george\n---\n  name: anna\n  text: |\n    x\n\n---\n# nobody\n";
    let found = cut(text, Layout::Yaml);
    let expected = [
        ("# two people\n---\nname: george\n".to_owned(), 1, 3, false),
        ("---\n  name: anna\n  text: |\n    x\n\n".to_owned(), 4, 4, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_yaml_pipe_is_cut_as_it_arrives_and_what_is_too_large_passed_over() {
    let mut text = String::from("a: 1\n---\n");
    (0..20).for_each(|number| text.push_str(&format!("key{number}: --- x\n")));
    text.push_str("---\nb: 2\n--- \nc: 3");
    for chunk in [1, 3, 7, 1000] {
        let mut cutter = Cutter::new(Layout::Yaml, 40);
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        let mut parts: Vec<_> = text.as_bytes().chunks(chunk).collect();
        parts.push(&[]);
        for part in parts {
            buffer.extend_from_slice(part);
            loop {
                let cut = cutter.cut(&buffer, part.is_empty());
                let used = cut.used;
                let piece = cut.piece.map(|piece| (piece.line, piece.broken.is_some()));
                buffer.drain(..used);
                match piece {
                    Some(piece) => found.push(piece),
                    None => break,
                }
            }
        }
        let is_whole = chunk == 1000;
        assert_eq!(found, [(1, false), (2, !is_whole), (23, false), (25, false)], "{chunk}");
    }
}

#[test]
fn a_pipe_is_cut_as_it_arrives_and_holds_no_more_than_the_limit() {
    let mut cutter = Cutter::new(Layout::Values, 40);
    let mut text = String::from("{\"change\":[]}\n{\"action\":\"B\"}\n");
    (0..9).for_each(|_| text.push_str("{\"action\":\"M\"}\n"));
    text.push_str("{\"action\":\"C\"}\n{\"change\":[]}\n");
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for byte in text.bytes() {
        buffer.push(byte);
        loop {
            let cut = cutter.cut(&buffer, false);
            let (used, piece) = (cut.used, cut.piece.map(|piece| (piece.line, piece.broken.is_some())));
            buffer.drain(..used);
            match piece {
                Some(piece) => found.push(piece),
                None => break,
            }
        }
        assert!(buffer.len() <= 42);
    }
    assert_eq!(found, [(1, false), (2, true), (13, false)]);
}

/// Cuts a text that arrives in parts of `chunk` bytes. Gives each piece, and how many bytes were looked at.
fn cut_in_parts(
    text: &[u8],
    layout: Layout,
    chunk: usize,
    bytes_max: usize,
) -> (Vec<(String, usize, usize, bool)>, usize) {
    let mut cutter = Cutter::new(layout, bytes_max);
    let (mut buffer, mut done, mut found) = (Vec::new(), 0, Vec::new());
    for (part, is_all) in text.chunks(chunk).map(|part| (part, false)).chain([(&[][..], true)]) {
        buffer.drain(..std::mem::take(&mut done));
        buffer.extend_from_slice(part);
        loop {
            let cut = cutter.cut(&buffer[done..], is_all);
            done += cut.used;
            let Some(piece) = cut.piece else { break };
            let text = String::from_utf8_lossy(piece.bytes).into_owned();
            found.push((text, piece.line, piece.lines, piece.broken.is_some()));
        }
    }
    (found, cutter.work)
}

#[test]
fn a_text_is_cut_the_same_in_whichever_parts_it_arrives() {
    let begin = r#"{"action":"B","xid":7}"#;
    let values = [
        "{\"change\":[]}{\"change\":[\n]}\n\n {\"change\":[]}",
        "{\"a\":\"\\\"}\\\\\"} [1,[2]] \"x{\" 12 34 true null",
        &format!("{begin}\n{{\"action\":\"I\"}}\n{{\"action\":\"C\"}}\n{{\"action\":\"M\"}}"),
        &format!("{begin}\n{{\"action\":\"I\"}}\n{begin}\n{{\"action\":\"C\"}}\n{begin}\n"),
        &format!("{begin}\n{{\"action\":\"I\", bad\n{{\"action\":\"U\"}}\n{{\"action\":\"C\"}}\n{{\"change\":[]}}"),
        &format!("{begin}\n{{\"action\":\"I\",\"x\":\"torn{begin}\n{{\"action\":\"C\"}}\n{{\"change\":[]}}"),
        "{\"change\":[}\n{\"change\":[]}\ngarbage\nmore\n{\"change\":\n  [}\n  ]}\n{\"change\":[]}",
        "{\"change\":[1 2]}\n{\"change\":[\n{\"change\":[]}",
        "}\n]\n{\"change\":[]}\n\u{e4}\u{f6}\n{\"\u{e4}\":\"\u{2603}\"}",
        "{\"change\":",
        "{\"action\":\"B\"}\n{\"action\":\"I\"",
    ];
    let mut texts: Vec<_> = values.iter().map(|text| (text.as_bytes().to_vec(), Layout::Values)).collect();
    texts.push((b"{\"a\":\"\xff\"}\n{\"change\":[]}\n\xff\n{\"change\":[]}".to_vec(), Layout::Values));
    texts.push((
        b"{\"action\":\"B\"}\n{\"action\":\"I\",\"x\":\"\xff\"}\n{\"action\":\"C\"}\n[]".to_vec(),
        Layout::Values,
    ));
    texts.push((b"{\"a\":1}\n\n 5 \r\nnot json\n\"x\"".to_vec(), Layout::Lines));
    texts.push((b"# x\n---\na: 1\n...\n---\nb: |\n  c\n--- 5\n".to_vec(), Layout::Yaml));
    for (text, layout) in texts {
        let whole = cut_in_parts(&text, layout, text.len(), 1 << 20).0;
        assert!(!whole.is_empty());
        for chunk in 1..text.len() {
            let parts = cut_in_parts(&text, layout, chunk, 1 << 20).0;
            assert_eq!(parts, whole, "{} by {chunk}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn each_byte_is_looked_at_a_bounded_number_of_times() {
    let change = r#"{"action":"I","table":"t","columns":[{"name":"a","type":"text","value":"some \"text\""}]}"#;
    let transaction = format!("{{\"action\":\"B\"}}\n{}\n{{\"action\":\"C\"}}\n", vec![change; 2_000].join("\n"));
    let one = format!("{{\"change\":[{}]}}", vec![change; 2_000].join(",\n"));
    let texts = [
        (transaction.clone(), Layout::Values),
        (one.clone(), Layout::Values),
        // Many on one line.
        (r#"{"change":[]}"#.repeat(10_000), Layout::Values),
        // An end that never comes, and a fault whose line never ends.
        (one[..one.len() - 1].to_owned(), Layout::Values),
        (format!("}}{}", one.replace('\n', "")), Layout::Values),
        (" ".repeat(100_000), Layout::Values),
        (one.replace('\n', ""), Layout::Lines),
    ];
    for (text, layout) in texts {
        for chunk in [1, 100, 4_096, text.len()] {
            for bytes_max in [text.len(), text.len() / 3] {
                let (_, work) = cut_in_parts(text.as_bytes(), layout, chunk, bytes_max);
                assert!(work <= 4 * text.len(), "{work} of {} by {chunk}: {}…", text.len(), &text[..40]);
            }
        }
    }
}
