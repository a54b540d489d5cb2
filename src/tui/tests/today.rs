//! The daily review.

use crate::tui::place::Screen;
use crate::tui::tests::Session;

#[test]
fn a_figure_opens_the_list_that_it_counts() {
    let mut session = Session::open(60, (80, 24));
    assert_eq!(session.app.place().screen, Screen::Today);
    session.keys("j\n");
    assert_eq!(session.app.place().query, "type:user.registered");
    session.keys("\u{1b}");
    assert_eq!(
        (session.app.place().screen, session.app.place().line),
        (Screen::Today, 1)
    );
}
