//! The links.

use crate::tui::app::message::Effect;
use crate::tui::tests::Session;
use crate::tui::tests::ledger::links;

#[test]
fn a_link_is_copied_whole() {
    let mut session = Session::open(0, (80, 24));
    session.keys("jy");
    let copied = session
        .outside
        .iter()
        .any(|effect| matches!(effect, Effect::Copy(text) if *text == links()[1].url));
    assert!(copied);
    assert!(
        session
            .text()
            .contains("bytes, handed to the terminal's clipboard")
    );
}
