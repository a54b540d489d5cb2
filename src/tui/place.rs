//! Where the publisher is, where they were, and how they came there.

use crate::domain::page::{List, Order, RowKey};

/// So many places are remembered.
const PLACES_MAX: usize = 100;

/// What fills the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Screen {
    /// The daily review.
    Today,
    /// A list of rows.
    List(List),
    /// Links, last webhooks, proofs.
    Connections,
    /// All links of one account, by its place among the accounts.
    Account(usize),
}

impl Screen {
    /// Events.
    pub const EVENTS: Self = Self::List(List::Events);
    /// Users.
    pub const USERS: Self = Self::List(List::Users);
    /// Subscriptions.
    pub const SUBSCRIPTIONS: Self = Self::List(List::Subscriptions);
    /// Cancellations.
    pub const CANCELLATIONS: Self = Self::List(List::Cancellations);
    /// Consent, as it is now.
    pub const CONSENTS: Self = Self::List(List::Consents);
    /// Consent, how it came to be.
    pub const CHANGES: Self = Self::List(List::Changes);
    /// Payments.
    pub const PAYMENTS: Self = Self::List(List::Payments);
    /// Deliveries.
    pub const DELIVERIES: Self = Self::List(List::Deliveries);

    /// Those with a digit: the digit, the screen, its name where there is room, and where there is less.
    pub const TABS: &'static [(char, Self, &'static str, &'static str)] = &[
        ('1', Self::Today, "Today", "Today"),
        ('2', Self::EVENTS, "Events", "Events"),
        ('3', Self::USERS, "Users", "Users"),
        ('4', Self::SUBSCRIPTIONS, "Subscriptions", "Subs"),
        ('5', Self::CANCELLATIONS, "Cancellations", "Cancels"),
        ('6', Self::CONSENTS, "Consent", "Consent"),
        ('7', Self::DELIVERIES, "Deliveries", "Deliveries"),
        ('9', Self::Connections, "Connections", "Connect"),
    ];

    /// The list on this screen.
    pub const fn list(self) -> Option<List> {
        match self {
            Self::List(list) => Some(list),
            Self::Today | Self::Connections | Self::Account(_) => None,
        }
    }

    /// The name of the screen in its own heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Today => "Today",
            Self::Connections | Self::Account(_) => "Connections",
            Self::List(List::Events) => "Events",
            Self::List(List::Users) => "Users",
            Self::List(List::Subscriptions) => "Subscriptions",
            Self::List(List::Cancellations) => "Cancellations",
            Self::List(List::Consents) => "Consent now",
            Self::List(List::Changes) => "Consent history",
            Self::List(List::Payments) => "Payments",
            Self::List(List::Deliveries) => "Deliveries",
        }
    }

    /// The screen whose tab is lit here.
    #[must_use]
    pub fn tab(self) -> Self {
        match self {
            Self::CHANGES => Self::CONSENTS,
            Self::Account(_) => Self::Connections,
            other => other,
        }
    }
}

/// Which side of an opened row is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// What was read out of it.
    Fields,
    /// The body as a tree.
    Body,
    /// Headers and body as they came.
    Raw,
    /// The events that made it.
    History,
    /// What it did to consents.
    Consent,
    /// Everything of a reader.
    Reader,
}

impl Face {
    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Fields => "Fields",
            Self::Body => "Body",
            Self::Raw => "As it came",
            Self::History => "History",
            Self::Consent => "Before and after",
            Self::Reader => "Reader",
        }
    }
}

/// An opened row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pane {
    /// The side that was asked for; `None`: the one that the row shows by itself.
    pub face: Option<Face>,
    /// The body in hex, text or not.
    pub hex: bool,
    /// The line that keys act on.
    pub line: usize,
    /// The first line shown.
    pub top: usize,
    /// On the whole screen, or beside its list; `None`: as there is room.
    pub whole: Option<bool>,
}

/// One place: enough to come back to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The screen.
    pub screen: Screen,
    /// The filter, as typed; it parsed when it was applied.
    pub query: String,
    /// Which end of a list comes first.
    pub order: Order,
    /// The selected row.
    pub selected: Option<RowKey>,
    /// The first row on screen; `None` at the head of the list.
    pub top: Option<RowKey>,
    /// Of a list of deliveries: the one to select once it is found.
    pub seek: Option<i64>,
    /// Of a list of readers: the id of the one to select once it is found.
    pub reader: Option<String>,
    /// The selected line of a screen that is no list.
    pub line: usize,
    /// The opened row.
    pub pane: Option<Pane>,
    /// Which place Esc goes back to.
    pub opened_from: Option<usize>,
}

impl Place {
    /// A screen from its beginning.
    pub fn new(screen: Screen) -> Self {
        Self::with_query(screen, String::new())
    }

    /// A screen with a filter.
    pub fn with_query(screen: Screen, query: impl Into<String>) -> Self {
        Self {
            screen,
            query: query.into(),
            order: Order::default(),
            selected: None,
            top: None,
            seek: None,
            reader: None,
            line: 0,
            pane: None,
            opened_from: None,
        }
    }
}

/// The places that were visited, and which of them is on screen.
#[derive(Clone, Debug)]
pub struct History {
    places: Vec<Place>,
    here: usize,
}

impl History {
    /// Begins at `place`.
    pub fn new(place: Place) -> Self {
        Self {
            places: vec![place],
            here: 0,
        }
    }

    /// The place on screen.
    pub fn here(&self) -> &Place {
        &self.places[self.here]
    }

    /// The place on screen, to keep it up to date.
    pub fn here_mut(&mut self) -> &mut Place {
        &mut self.places[self.here]
    }

    /// Goes to `place`; Esc comes back from there if it was `opened` from here.
    pub fn visit(&mut self, mut place: Place, opened: bool) {
        self.places.truncate(self.here + 1);
        if opened {
            place.opened_from = Some(self.here);
        }
        self.places.push(place);
        if self.places.len() > PLACES_MAX {
            self.places.remove(0);
            for place in &mut self.places {
                place.opened_from = place.opened_from.and_then(|from| from.checked_sub(1));
            }
        }
        self.here = self.places.len() - 1;
    }

    /// Goes to a screen as it was last left, else to its beginning.
    pub fn visit_screen(&mut self, screen: Screen) {
        let left = self.places[..=self.here]
            .iter()
            .rev()
            .find(|place| place.screen.tab() == screen.tab() && place.opened_from.is_none());
        let place = left.cloned().unwrap_or_else(|| Place::new(screen));
        self.visit(place, false);
    }

    /// One place back; false if there is none.
    pub fn back(&mut self) -> bool {
        let can = self.here > 0;
        self.here -= usize::from(can);
        can
    }

    /// One place on; false if there is none.
    pub fn on(&mut self) -> bool {
        let can = self.here + 1 < self.places.len();
        self.here += usize::from(can);
        can
    }

    /// Back to where this place was opened from; false if it was not opened from anywhere.
    pub fn close(&mut self) -> bool {
        let from = self.here().opened_from.filter(|from| *from < self.here);
        if let Some(from) = from {
            self.here = from;
        }
        from.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_returns_to_the_opener_and_brackets_walk_every_place() {
        let mut history = History::new(Place::new(Screen::Today));
        history.visit(Place::with_query(Screen::EVENTS, "type:cancel"), true);
        history.visit(Place::new(Screen::USERS), true);
        assert!(history.close());
        assert_eq!(history.here().query, "type:cancel");
        assert!(history.on());
        assert_eq!(history.here().screen, Screen::USERS);
        assert!(history.back() && history.back() && !history.back());
        assert!(!history.close());
    }

    #[test]
    fn a_digit_returns_to_a_screen_as_it_was_left() {
        let mut history = History::new(Place::with_query(Screen::EVENTS, "provider:zotlo"));
        history.visit_screen(Screen::USERS);
        history.visit_screen(Screen::EVENTS);
        assert_eq!(history.here().query, "provider:zotlo");
    }

    #[test]
    fn only_so_many_places_are_remembered() {
        let mut history = History::new(Place::new(Screen::Today));
        for _ in 0..3 * PLACES_MAX {
            history.visit(Place::new(Screen::USERS), true);
        }
        let mut steps = 0;
        while history.close() {
            steps += 1;
        }
        assert_eq!(steps, PLACES_MAX - 1);
    }
}
