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
