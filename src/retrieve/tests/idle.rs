//! Turns without content retrieve nothing, whatever partition they come to.

use super::{ask, assistant_chat, persons_chat, session};
use crate::retrieve::{Decision, SessionIndex};

/// A hundred turns that ask for nothing of the past.
pub(super) const IDLE: [&str; 100] = [
    "ok thanks",
    "continue",
    "why?",
    "Thank you so much!",
    "Great, thanks a lot for your help.",
    "yes please",
    "no",
    "Nope.",
    "Sounds good to me!",
    "Go on.",
    "Please continue with that.",
    "Can you explain that again?",
    "What do you mean?",
    "Could you elaborate on this a bit more?",
    "I see.",
    "Hm, interesting...",
    "lol",
    "Okay, that makes sense.",
    "Got it, thanks!",
    "Perfect!!!",
    "How so?",
    "Really?",
    "And then?",
    "Next",
    "more",
    "Give me another example, please.",
    "Try again",
    "That's not what I meant.",
    "Wow, that is amazing!",
    "👍",
    "?",
    "...",
    "Hello!",
    "Good morning",
    "Bye, see you later!",
    "I agree.",
    "Sure, why not?",
    "Never mind.",
    "Make it shorter.",
    "Tell me more.",
    "danke",
    "Vielen Dank!",
    "Weiter bitte.",
    "Warum?",
    "Ja, gerne.",
    "Nein danke",
    "Alles klar, verstanden.",
    "Kannst du das noch einmal erklären?",
    "Was meinst du damit?",
    "Super, das passt so.",
    "Mach weiter.",
    "Genau!",
    "Das ergibt Sinn, danke dir.",
    "Hm, okay.",
    "Guten Morgen!",
    "ありがとう",
    "ありがとうございます！",
    "続けてください",
    "なぜですか？",
    "はい、お願いします。",
    "いいえ",
    "わかりました。",
    "もう一度説明してください",
    "なるほど",
    "了解です",
    "どういう意味ですか？",
    "すごいですね！",
    "شكرا",
    "شكراً جزيلاً لك",
    "استمر من فضلك",
    "لماذا؟",
    "نعم",
    "لا، شكرا",
    "حسناً، فهمت",
    "ماذا تقصد؟",
    "اشرح أكثر من فضلك",
    "مرحبا",
    "رائع!",
    "merci beaucoup",
    "Continue, s'il te plaît.",
    "Pourquoi ?",
    "Oui, d'accord.",
    "Très bien, j'ai compris.",
    "gracias",
    "Sigue, por favor.",
    "¿Por qué?",
    "Vale, entendido.",
    "¿Qué quieres decir?",
    "grazie mille",
    "Va bene, continua",
    "obrigado",
    "Bedankt!",
    "谢谢",
    "继续",
    "为什么？",
    "好的，明白了",
    "감사합니다",
    "계속해 주세요",
    "спасибо, понятно",
    "Продолжай, пожалуйста",
];

fn chats() -> Vec<SessionIndex> {
    let german = session(
        "U: Hallo! Ich ziehe im Mai nach Leipzig und suche eine Wohnung mit Balkon.
        A: Guten Morgen! Gerne helfe ich weiter. Wie viele Zimmer sollen es sein?
        U: Drei. Mein Hund Paul braucht auch etwas Platz, danke.
        A: Alles klar, das passt. Soll ich noch einmal die Bezirke erklären?
        U: Ja, das wäre super. Was meinst du zu Plagwitz?
        A: Genau das Richtige: viele Parks, gute Straßenbahnen.",
    );
    let japanese = session(
        "U: こんにちは。来月、京都へ家族旅行に行く予定です。
        A: いいですね！詳しく教えてください。何人で行きますか？
        U: 四人です。娘は抹茶が大好きです。ありがとうございます。
        A: なるほど、宇治の茶園を説明しますね。続けてもいいですか？
        U: はい、お願いします。猫カフェも見たいです。
        A: 了解です。意味のある旅になりますように。",
    );
    let arabic = session(
        "U: مرحبا، أريد أن أتعلم الطبخ المغربي هذا الشهر.
        A: رائع! هل تحب الطاجين؟ سوف أشرح لك الوصفة.
        U: نعم، لكن ابنتي لا تأكل السمك. شكرا.
        A: حسناً، إذن طاجين الدجاج بالليمون. هل أستمر؟",
    );
    let romance = session(
        "U: Merci de continuer, je cherche un hôtel à Bordeaux pour ma mère.
        A: Très bien, d'accord. Quel est votre budget ?
        U: Gracias, mi perro se llama Toby y vivimos en Sevilla.
        A: Entendido. ¿Quieres que siga con la lista?",
    );
    vec![assistant_chat(), persons_chat(), german, japanese, arabic, romance]
}

#[test]
fn turns_without_content_retrieve_nothing() {
    let chats = chats();
    let mut loud = Vec::new();
    for text in IDLE {
        for (place, chat) in chats.iter().enumerate() {
            if ask(&[chat], text).decision == Decision::Retrieved {
                loud.push((text, place));
            }
        }
    }
    let texts: std::collections::BTreeSet<&str> = loud.iter().map(|(text, _)| *text).collect();
    assert!(texts.len() <= 5, "{} of 100 retrieve: {loud:?}", texts.len());
}

#[test]
fn turns_without_content_retrieve_nothing_from_all_languages_at_once() {
    let chats = chats();
    let all: Vec<&SessionIndex> = chats.iter().collect();
    let loud: Vec<&str> =
        IDLE.into_iter().filter(|text| ask(&all, text).decision == Decision::Retrieved).collect();
    assert!(loud.len() <= 5, "{} of 100 retrieve: {loud:?}", loud.len());
}

/// The other way round: turns with content are not taken for idle ones.
#[test]
fn turns_with_content_retrieve() {
    let chats = chats();
    let all: Vec<&SessionIndex> = chats.iter().collect();
    for text in [
        "thanks, and the tram?",
        "Continue with the cello",
        "Who owns a greyhound?",
        "Wie heißt mein Hund?",
        "Was war nochmal mit dem Balkon?",
        "娘は何が好きですか？",
        "京都",
        "ماذا عن الطاجين؟",
        "Un hôtel à Bordeaux ?",
        "¿Cómo se llama mi perro?",
    ] {
        assert_eq!(ask(&all, text).decision, Decision::Retrieved, "{text}");
    }
}
