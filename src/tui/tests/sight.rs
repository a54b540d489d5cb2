//! How things are shown: masked data, other zones, wide and joined characters in their cells.

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::page::{List, Order};
use crate::domain::printable::{self, Printable};
use crate::store::query::View;
use crate::tui::app::message::Msg;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::links;
use crate::tui::theme::{Meaning, Theme};
use crate::tui::view::paint::Paint;

/// Keys to every screen and panel that shows data.
const EVERYWHERE: [&str; 15] = [
    "1", "2", "2\n", "2\n\t", "3", "3\n", "4\n", "5\n", "6\n", "6c\n", "7\n", "7\n\t", "7\n\tp",
    "$\n", "9\n",
];

#[test]
fn masked_no_reader_can_be_known_on_any_screen() {
    let theirs = [
        "Ada",
        "Öz",
        "山田",
        "مريم",
        "Zoë",
        "mEve",
        "@example.org",
        "user-",
        "0123456789abcdef",
        "msg_1",
    ];
    for keys in EVERYWHERE {
        let mut session = Session::open(60, (250, 60));
        session.keys(keys);
        let open = session.text();
        session.keys("P");
        let shown = session.text();
        for value in theirs {
            assert!(
                !shown.contains(value),
                "{value:?} after {keys:?}P:\n{shown}"
            );
        }
        assert!(shown.contains("MASKED") && shown.contains("personal data is masked"));
        // The notice goes with the next key; nothing else was moved.
        session.keys("P");
        session.keys("R");
        assert_eq!(open.lines().count(), session.text().lines().count());
    }
}

#[test]
fn the_same_reader_has_the_same_tag_in_lists_and_records() {
    let mut session = Session::open(60, (120, 40));
    session.keys("P3");
    let tag = |text: &str, kind: &str| {
        let from = text.find(kind).unwrap();
        text[from..from + kind.len() + 5].to_owned()
    };
    let listed = session.text();
    let mail = tag(&listed, "mail-");
    session.keys("\n");
    let opened = session.text();
    assert!(opened.matches(&mail).count() >= 2, "{mail}:\n{opened}");
}

#[test]
fn a_filter_by_a_reader_is_masked_in_the_header_and_still_filters() {
    let mut session = Session::open(60, (120, 40));
    session.keys("P2/email:reader5@example.org type:cancel\n");
    let shown = session.text();
    assert!(shown.contains("email:mail-"), "{shown}");
    assert!(
        shown.contains("type:cancel") && !shown.contains("reader5"),
        "{shown}"
    );
    assert_eq!(
        session.app.place().query,
        "email:reader5@example.org type:cancel"
    );
}

#[test]
fn masked_links_do_not_let_in() {
    let mut session = Session::open(0, (120, 40));
    assert!(session.text().contains("k_0123456789abcdef"));
    session.keys("P");
    let shown = session.text();
    assert!(!shown.contains("k_0123"), "{shown}");
    assert!(shown.contains("/hooks/zotlo/events/"), "{shown}");
    session.keys("y");
    let copied = session.outside.iter().any(|effect| {
        matches!(effect, crate::tui::app::message::Effect::Copy(text) if *text == links()[0].url)
    });
    assert!(copied, "what is copied is whole");
}

#[test]
fn under_a_mask_what_is_typed_saved_and_sought_names_nobody() {
    let view = |name: &str, query: &str| View {
        name: name.to_owned(),
        list: List::Events,
        query: query.to_owned(),
        order: Order::default(),
        pin: None,
    };
    let masked = |keys: &str| {
        let mut session = Session::open(60, (120, 40));
        session.tell(Msg::Views(vec![
            view("of ada@example.org", "email:ada@example.org type:cancel"),
            view("late", "Lovelace provider:zotlo"),
        ]));
        session.keys("2P");
        session.keys(keys);
        session.text()
    };
    for keys in [
        "v",
        "/email:ada@example.org Lovelace provider:zotlo",
        "sLovelace ada@example.org",
        ":users Lovelace email:ada@example.org",
        ":view of ada@example.org",
        "\n/ada@example.org Lovelace",
        "/email:ada@example.org Lovelace nothing\n",
        "/email:ada@example.org Lovelace\nE",
        "?saved",
    ] {
        let shown = masked(keys);
        assert!(!shown.contains("ada@"), "{keys}:\n{shown}");
        let foot = shown.lines().skip(20).collect::<String>();
        assert!(!foot.contains("Lovelace"), "{keys}:\n{shown}");
    }
    // Keys and what names nobody stay, and so does the caret's place.
    let shown = masked("/email:ada@example.org provider:zotlo");
    assert!(
        shown.contains("/ email:*************** provider:zotlo"),
        "{shown}"
    );
    assert!(masked("v").contains("provider:zotlo"));
    assert!(masked(":users email:ada@example.org").contains(":users email:***"));
    // What was typed is what is sought.
    let mut session = Session::open(60, (120, 40));
    session.keys("2P/email:ada@example.org\n");
    assert_eq!(session.app.place().query, "email:ada@example.org");
}

#[test]
fn times_are_shown_in_the_ledgers_zone_in_utc_and_in_the_machines() {
    let mut session = Session::open(60, (120, 40));
    session.keys("2");
    for (zone, time) in [
        ("Europe/Istanbul", "09:14:00"),
        ("UTC", "06:14:00"),
        ("Asia/Kolkata", "11:44:00"),
        ("Europe/Istanbul", "09:14:00"),
    ] {
        let shown = session.text();
        assert!(
            shown.contains(zone) && shown.contains(time),
            "{zone}:\n{shown}"
        );
        session.keys("Z");
    }
    // What is typed means what is shown, and a list counts the ledger's days whatever is shown.
    session.keys("@06:00\n");
    let at = session.app.window.row().unwrap().key.sort.clone();
    assert_eq!(at, "2026-11-20T06:00:00.000Z");
    session.keys("1");
    assert!(session.text().contains("Europe/Istanbul"));
    session.keys("Z");
    assert!(session.text().contains("goes by the ledger's days"));
}

#[test]
fn the_cursor_stands_on_the_selected_line_or_at_the_caret() {
    for (keys, line) in [("1j", 3), ("2jj", 5), ("3jjj", 6), ("9", 2)] {
        let mut session = Session::open(60, (80, 24));
        session.keys(keys);
        let picture = crate::tui::headless::draw(&session.app);
        let at = picture.cursor.unwrap();
        let expected = if keys == "1j" { 4 } else { line };
        assert!([line, expected].contains(&at.y), "{keys}: {at}");
        // On Today one of the figures of a line is selected.
        assert_eq!(at.x, u16::from(keys == "1j"), "{keys}");
    }
    let mut session = Session::open(60, (80, 24));
    session.keys("2/type:can");
    let at = crate::tui::headless::draw(&session.app).cursor.unwrap();
    assert_eq!((at.x, at.y), (3 + 8, 23));
}

/// Text of all kinds: letters that join, marks that pile up, wide ones, some that act on terminals.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "é",
        "e\u{301}",
        "山",
        "ｱ",
        "👩‍👩‍👧",
        "🇹🇷",
        "☎\u{fe0f}",
        "مر",
        "नि",
        "क्षि",
        "한",
        "\u{1b}[2J",
        "\u{202e}",
        "\u{200b}",
        "…",
        " ",
        "\t",
        "ﷺ",
        "\u{9b}",
        "👍🏽",
        "ก็",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn text_is_never_wider_than_its_cell_and_never_cut_inside_a_character(
        text in prop_oneof![any_text(), any::<String>()],
        cells in 0..40_usize,
    ) {
        let whole = Printable::line(&text);
        let cut = whole.cut(cells);
        prop_assert!(cut.width() <= cells);
        if whole.width() <= cells {
            prop_assert_eq!(&cut, &whole);
        } else if cells > 0 {
            let kept = cut.as_str().strip_suffix('…').unwrap();
            let mut pieces = whole.as_str().graphemes(true);
            let again: String = pieces.by_ref().take(kept.graphemes(true).count()).collect();
            prop_assert_eq!(kept, again, "cut inside a character");
            // Not one more would have had room.
            let next = pieces.next().unwrap_or_default();
            prop_assert!(printable::cells(kept) + next.width() + 1 > cells);
        }
    }

    #[test]
    fn a_cell_paints_nothing_beside_itself(text in any_text(), x in 0..20_u16, width in 0..20_u16) {
        let mut cells = Buffer::empty(Rect::new(0, 0, 30, 1));
        let used = Paint::new(&mut cells, Theme::Mono).text(x, 0, width, &text, Meaning::Strong);
        prop_assert!(used <= width);
        for beside in (0..x).chain(x + width..30) {
            prop_assert_eq!(cells[(beside, 0)].symbol(), " ", "at {}", beside);
        }
    }
}
