//! Words that say whether a sentence stands alone and what it is worth: one table per language.

use crate::retrieve::Language;

/// The cue words of a language, case-folded, split at apostrophes, each row parted by spaces.
pub(super) struct Cues {
    /// Openers that point at something said before.
    pub(super) pointers: &'static str,
    /// Openers that answer a question with yes or no.
    pub(super) answers: &'static str,
    /// Openers of a short answer that is no sentence.
    pub(super) fragments: &'static str,
    /// Openers without content, taken off the front of a sentence with the comma after them; the
    /// words of a phrase are joined by `_`.
    pub(super) fillers: &'static str,
    /// Verbs and nouns of facts, plans, decisions and tastes.
    pub(super) facts: &'static str,
    /// Words that say that something is no longer as it was.
    pub(super) changes: &'static str,
    /// Openers of praise, advice and encouragement.
    pub(super) reactions: &'static str,
    /// Words of what somebody feels or thinks, which tells little of what is the case.
    pub(super) feelings: &'static str,
    /// Objects that point at something said before, near the front of a sentence.
    pub(super) objects: &'static str,
    /// What opens a judgement at the end of a sentence, which may go; parted by `|`.
    pub(super) tails: &'static str,
}

const ENGLISH: Cues = Cues {
    pointers: "it its that that's this these those they them their he him his she her there \
        such here both neither either which who then so because also instead otherwise \
        however therefore same else another or but and",
    answers: "yes yeah yep yup no nope sure exactly absolutely definitely totally indeed \
        right true correct agreed okay ok of",
    fragments: "since because about around almost for like nearly over at in on from until just",
    fillers: "oh wow well hey hi hello thanks thank haha lol hmm um ah yay aww woah whoa \
        yeah yes yep sure okay ok actually anyway btw so great awesome cool nice \
        congrats absolutely definitely totally exactly right no also and but gotcha \
        plus by additionally lastly",
    facts: "decided decide plan planning going gonna will booked bought buy got moved \
        moving started starting joined join finished quit signed accepted hired lost \
        won born married graduated live work worked study studied teach taught run own \
        have had went visited visit met adopted attended love prefer favorite \
        favourite hate allergic vegetarian vegan diet goal dream deadline appointment \
        meeting called named lives works costs cost paid spent learned learning trying \
        thinking considering recommended recommend ordered received sold opened \
        launched volunteer volunteered painted wrote written made built cooked baked \
        reading read watched played injured sick diagnosed recovering year old",
    changes: "now instead changed switched anymore cancelled canceled postponed \
        rescheduled",
    reactions: "that's sounds glad proud congrats congratulations wishing keep remember don \
        good great awesome wow way what how can't hope you your you're looking love \
        sorry enjoy best let feel i'd",
    feelings: "agree thankful grateful proud appreciate feel feels feeling felt amazing \
        inspiring important matters matter glad lucky excited happy awesome incredible \
        beautiful powerful rewarding special believe cherish means hope wish support \
        supportive motivated motivates positive journey strength passion passionate \
        inspired blessed meaningful fulfilling fun great sense interesting fascinating \
        reminder definitely totally truly keep \
        pushing push determined motivating stay staying focused chasing talked chat chatted spoke \
        cool stuff tough hard wild wonder realize",
    objects: "it that this them those these one ones him her",
    tails: " – it| - it|—it|, it's| so it |, which | and it was | and it's |, and that | but it ",
};

const GERMAN: Cues = Cues {
    pointers: "es das dies diese dieser dieses sie er ihn ihm ihr dort da dann dabei damit \
        dazu dafür darum deshalb deswegen trotzdem außerdem also und aber oder sondern \
        denn weil",
    answers: "ja nein doch klar genau sicher natürlich stimmt richtig",
    fragments: "seit weil etwa ungefähr fast für wie bei in auf bis nur",
    fillers: "oh ach hallo hi hey danke wow tja na hm ja also klar genau super toll okay ok ne",
    facts: "entschieden entschlossen plane planen werde gekauft gebucht gezogen umgezogen \
        angefangen begonnen arbeite arbeitet studiere wohne lebe heiße geheiratet \
        gewonnen verloren war gewesen besucht getroffen liebe mag hasse allergisch \
        vegetarisch ziel traum termin frist kostet bezahlt gelernt lerne lese gelesen \
        gemacht gebaut habe hatte bin heißt",
    changes: "jetzt nicht mehr stattdessen geändert gewechselt umgezogen verschoben abgesagt \
        neu inzwischen mittlerweile",
    reactions: "das klingt schön toll super glückwunsch viel freut hoffentlich wie was du ihr dein",
    feelings: "finde fühle gefühl dankbar stolz froh glücklich wichtig toll schön hoffe \
        wünsche glaube wunderbar interessant",
    objects: "es das ihn sie ihm",
    tails: " – das|, was | und es war ",
};

const FRENCH: Cues = Cues {
    pointers: "ça cela c ce ceci il elle ils elles lui leur y en donc alors aussi mais et ou \
        car parce puis ensuite là",
    answers: "oui non si exactement bien certainement absolument",
    fragments: "depuis parce environ presque pour comme à dans jusqu",
    fillers: "oh ah bonjour salut merci eh bon bien alors oui super d'accord ok",
    facts: "décidé prévois prévu vais acheté réservé déménagé commencé travaille étudie \
        habite vis marié gagné perdu visité rencontré adore aime préfère déteste \
        allergique végétarien but rêve rendez coûte payé appris lis lu fait construit \
        ai suis",
    changes: "maintenant plus désormais changé plutôt reporté annulé nouveau nouvelle",
    reactions: "c'est quel quelle bravo félicitations tu vous ton ta bon bonne",
    feelings: "sens fier fière heureux heureuse important beau belle espère crois merveilleux \
        intéressant",
    objects: "ça le la les cela",
    tails: ", ce qui | – c'est| et c'était ",
};

const SPANISH: Cues = Cues {
    pointers: "eso esto ese esa este esta ello él ella ellos ellas lo le allí ahí entonces \
        también pero y o porque así luego",
    answers: "sí no claro exacto cierto exactamente",
    fragments: "desde porque unos casi para como en hasta",
    fillers: "oh ah hola gracias bueno pues vale sí claro ok genial vaya",
    facts: "decidí decidido planeo voy compré comprado reservé mudé empecé trabajo estudio \
        vivo casé gané perdí visité conocí encanta gusta prefiero odio alérgico \
        vegetariano meta sueño cita cuesta pagué aprendí leo leí hice tengo soy estoy",
    changes: "ahora ya cambié cambiado aplazado cancelado nuevo nueva",
    reactions: "qué felicidades enhorabuena tú tu usted me",
    feelings: "siento orgulloso orgullosa feliz importante bonito espero creo maravilloso \
        interesante",
    objects: "lo la los las eso esto",
    tails: ", lo que | – es| y fue ",
};

const NONE: Cues = Cues {
    pointers: "",
    answers: "",
    fragments: "",
    fillers: "",
    facts: "",
    changes: "",
    reactions: "",
    feelings: "",
    objects: "",
    tails: "",
};

/// The cues of `language`; empty where there is no table.
pub(super) fn cues(language: Language) -> &'static Cues {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
        Language::French => &FRENCH,
        Language::Spanish => &SPANISH,
        _ => &NONE,
    }
}

/// Whether `word` (case-folded) stands in a row.
pub(super) fn has(row: &str, word: &str) -> bool {
    row.split(' ').any(|known| known == word)
}
