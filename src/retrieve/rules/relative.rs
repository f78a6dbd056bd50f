//! Words that name a time by its distance from now: one table per language.

use crate::retrieve::Language;

/// The words of one language, each row parted by spaces; words of one meaning by a `/`.
pub(in crate::retrieve) struct Relative {
    /// What says that a number of units lies back, before the number or after the unit.
    pub(in crate::retrieve) ago: &'static str,
    /// What says that the unit beside it is the one before now.
    pub(in crate::retrieve) last: &'static str,
    /// What says that the unit beside it is the one that is now.
    pub(in crate::retrieve) this: &'static str,
    /// The day before now.
    pub(in crate::retrieve) yesterday: &'static str,
    /// Days, weeks, weekends, months, years.
    pub(in crate::retrieve) units: [&'static str; 5],
    /// The seven days, Monday first.
    pub(in crate::retrieve) weekdays: &'static str,
    /// Spring, summer, autumn, winter.
    pub(in crate::retrieve) seasons: &'static str,
    /// The numbers from one to twelve.
    pub(in crate::retrieve) numbers: &'static str,
    /// Words for two or three of something.
    pub(in crate::retrieve) few: &'static str,
}

/// The table of a language; none: its questions name no such times.
pub(in crate::retrieve) fn relative(language: Language) -> Option<&'static Relative> {
    match language {
        Language::English => Some(&ENGLISH),
        Language::German => Some(&GERMAN),
        Language::French => Some(&FRENCH),
        Language::Spanish => Some(&SPANISH),
        Language::Italian => Some(&ITALIAN),
        Language::Portuguese => Some(&PORTUGUESE),
        Language::Dutch => Some(&DUTCH),
        _ => None,
    }
}

const ENGLISH: Relative = Relative {
    ago: "ago",
    last: "last past previous",
    this: "this current",
    yesterday: "yesterday",
    units: ["day days", "week weeks", "weekend weekends", "month months", "year years"],
    weekdays: "monday tuesday wednesday thursday friday saturday sunday",
    seasons: "spring summer autumn/fall winter",
    numbers: "one/a/an two three four five six seven eight nine ten eleven twelve",
    few: "couple few",
};

const GERMAN: Relative = Relative {
    ago: "vor",
    last: "letzte letzten letzter letztes letztem vergangene vergangenen vergangener vergangenes \
        vorige vorigen voriger voriges",
    this: "diese dieser diesen dieses diesem",
    yesterday: "gestern",
    units: [
        "tag tage tagen",
        "woche wochen",
        "wochenende wochenenden",
        "monat monate monaten monats",
        "jahr jahre jahren jahres",
    ],
    weekdays: "montag dienstag mittwoch donnerstag freitag samstag/sonnabend sonntag",
    seasons: "frühling/frühjahr sommer herbst winter",
    numbers: "ein/eine/einem/einer/einen zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    few: "paar wenigen einigen",
};

const FRENCH: Relative = Relative {
    ago: "y",
    last: "dernier dernière derniers dernières passé passée passés passées",
    this: "ce cet cette",
    yesterday: "hier",
    units: ["jour jours", "semaine semaines", "week-end weekend", "mois", "an ans année années"],
    weekdays: "lundi mardi mercredi jeudi vendredi samedi dimanche",
    seasons: "printemps été automne hiver",
    numbers: "un/une deux trois quatre cinq six sept huit neuf dix onze douze",
    few: "quelques",
};

const SPANISH: Relative = Relative {
    ago: "hace atrás",
    last: "pasado pasada pasados pasadas último última últimos últimas",
    this: "este esta",
    yesterday: "ayer",
    units: ["día días", "semana semanas", "finde", "mes meses", "año años"],
    weekdays: "lunes martes miércoles jueves viernes sábado domingo",
    seasons: "primavera verano otoño invierno",
    numbers: "un/una/uno dos tres cuatro cinco seis siete ocho nueve diez once doce",
    few: "pocos pocas unos unas par",
};

const ITALIAN: Relative = Relative {
    ago: "fa",
    last: "scorso scorsa scorsi scorse ultimo ultima ultimi ultime passato passata",
    this: "questo questa",
    yesterday: "ieri",
    units: [
        "giorno giorni",
        "settimana settimane",
        "weekend finesettimana",
        "mese mesi",
        "anno anni",
    ],
    weekdays: "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    seasons: "primavera estate autunno inverno",
    numbers: "un/una/uno due tre quattro cinque sei sette otto nove dieci undici dodici",
    few: "pochi poche alcuni alcune qualche",
};

const PORTUGUESE: Relative = Relative {
    ago: "há atrás",
    last: "passado passada passados passadas último última últimos últimas",
    this: "este esta neste nesta",
    yesterday: "ontem",
    units: ["dia dias", "semana semanas", "fim-de-semana", "mês meses", "ano anos"],
    weekdays: "segunda terça quarta quinta sexta sábado domingo",
    seasons: "primavera verão outono inverno",
    numbers: "um/uma dois/duas três quatro cinco seis sete oito nove dez onze doze",
    few: "poucos poucas alguns algumas",
};

const DUTCH: Relative = Relative {
    ago: "geleden",
    last: "vorig vorige afgelopen laatste",
    this: "deze dit",
    yesterday: "gisteren",
    units: ["dag dagen", "week weken", "weekend weekends", "maand maanden", "jaar jaren"],
    weekdays: "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    seasons: "lente/voorjaar zomer herfst/najaar winter",
    numbers: "een/één twee drie vier vijf zes zeven acht negen tien elf twaalf",
    few: "paar enkele",
};
