//! What people say in their languages is found again: each claim over turns in sentences of the
//! language, by a question that says it in other forms of the words.

use proptest::prelude::*;

use super::check_first as check;
use crate::retrieve::{
    Language, Spoken,
    query::Reader,
    terms::{analyse, analyse_text},
};
use crate::types::{Part, Role, Seq, Status, Timestamp, Turn};

#[test]
fn german_is_found_by_other_forms_and_spellings() {
    let turns = "Gestern haben wir die Küche gestrichen und neue Lampen aufgehängt.
        > Wir haben zwei alte Häuser am Rand der Stadt besichtigt.
        Meine Schwester fährt im Sommer mit den Kindern nach Dänemark.
        Auf der Straße vor dem Büro wird seit Wochen gebaut.";
    check("Welches Haus haben wir uns angesehen?", turns);
    let moved = turns.replace("> ", "").replace("Auf der Straße", "> Auf der Straße");
    check("Was ist auf der STRASSE los?", &moved);
    check("Was war mit den Bueros, dem Büro?", &moved);
}

#[test]
fn romance_languages_are_found_with_and_without_accents() {
    let french = "Nous avons visité les châteaux de la Loire au printemps.
        > Ma fille a mangé des crêpes au café près de la gare.
        Le médecin m'a conseillé de marcher chaque jour.";
    check("Qui a mangé une crêpe dans un café ?", french);
    check("crepes au cafe", french);
    let spanish = "Compré unas manzanas en el mercado de la plaza.
        > Reservé una habitación con balcón para las vacaciones.
        Mi hermano trabaja como cocinero en Sevilla.";
    check("¿Qué habitaciones reservé?", spanish);
    check("habitacion con balcon", spanish);
    let italian = "Ho comprato due biglietti per il treno di domani.
        > Le ragazze hanno cantato una canzone nella piazza della città.
        Mio zio coltiva pomodori dietro la casa.";
    check("Chi ha cantato delle canzoni in citta?", italian);
    let portuguese = "Comprei pão na padaria da esquina esta manhã.
        > A minha irmã estudou informação e comunicação em Coimbra.
        O carro novo do vizinho é azul e muito barulhento.";
    check("Onde é que estudou informacao a irmã?", portuguese);
    let romanian = "Am cumpărat mere și pere de la piață.
        > Copiii au plantat trei pomi în grădina bunicii.
        Trenul spre Cluj pleacă dimineața devreme.";
    check("Ce pom a plantat copilul în gradina?", romanian);
    let catalan = "Vaig comprar pa i formatge al mercat del barri.
        > Les nenes van dibuixar muntanyes i rius a l'escola.
        El meu oncle treballa en una fàbrica de vidre.";
    check("Qui va dibuixar una muntanya?", catalan);
}

#[test]
fn germanic_and_uralic_languages_are_found_by_other_forms() {
    let dutch = "Gisteren hebben we de keuken geverfd met mijn broer.
        > De meisjes hebben hun boeken in de kast gezet.
        Mijn buurvrouw werkt in het ziekenhuis van Utrecht.";
    check("Waar staat het boek van het meisje?", dutch);
    let swedish = "Vi åkte till stugan vid sjön i helgen.
        > Flickorna plockade blåbär och svampar i skogen.
        Min bror arbetar på ett sjukhus i Lund.";
    check("Vilken flicka plockade svamp?", swedish);
    let danish = "Jeg købte en ny cykel i byen i går.
        > Børnene tegnede både og heste i skolen.
        Min søster arbejder på et hospital i Odense.";
    check("Hvem har tegnet en hest?", danish);
    let norwegian = "Vi gikk på ski i fjellet hele helgen.
        > Guttene bygde hytter av greiner i skogen.
        Søsteren min jobber på et sykehus i Bergen.";
    check("Hvilken hytte bygde gutten?", norwegian);
    let finnish = "Ostin eilen uuden polkupyörän kaupungista.
        > Lapset poimivat mustikoita ja sieniä metsästä.
        Siskoni työskentelee sairaalassa Turussa.";
    check("Kuka keräsi metsässä sienet?", finnish);
    let hungarian = "Tegnap vettem egy új biciklit a városban.
        > A gyerekek gombákat és virágokat szedtek az erdőben.
        A nővérem egy kórházban dolgozik Szegeden.";
    check("Milyen gombát szedtek?", hungarian);
    let estonian = "Ostsin eile linnast uue jalgratta.
        > Õhtul läksime üle põllu järve äärde ja lapsed korjasid metsas seeni.
        Minu õde töötab Tartus haiglas.";
    check("Kes korjas seened metsast?", estonian);
}

#[test]
fn slavic_languages_are_found_by_other_forms() {
    let russian = "Вчера мы купили новые книги в магазине у вокзала.
        > Моя бабушка посадила ёлки и яблони за домом.
        Сестра работает врачом в больнице.";
    check("Где бабушка посадила яблоню?", russian);
    check("елка", russian);
    let ukrainian = "Учора ми купили нові книжки біля вокзалу.
        > Моя бабуся посадила яблуні та вишні біля хати.
        Сестра працює лікаркою у лікарні.";
    check("Яку яблуню посадила бабуся?", ukrainian);
    let polish = "Wczoraj kupiliśmy nowe krzesła do kuchni.
        > Moja babcia posadziła jabłonie i róże w ogrodzie.
        Siostra pracuje jako lekarka w szpitalu w Krakowie.";
    check("Jaką różę posadziła babcia w ogrodach?", polish);
    check("roze i jablonie", polish);
    let czech = "Včera jsme koupili nové židle do kuchyně.
        > Moje babička zasadila jabloně a růže na zahradě.
        Sestra pracuje jako lékařka v nemocnici v Brně.";
    check("Jakou růži zasadila babička?", czech);
    check("ruze na zahrade", czech);
}

#[test]
fn turkish_letters_i_are_one() {
    let turns = "Dün pazardan elma ve armut aldık.
        > Kız kardeşim Isparta'da öğretmenlik yapıyor.
        Çocuklar okulda resim çizdiler.
        İstanbul'daki evimizin ışıkları bozuldu.";
    check("ISPARTA nerede?", turns);
    check("isparta", turns);
    let moved = turns.replace("> ", "").replace("İstanbul", "> İstanbul");
    check("istanbul", &moved);
    check("ISTANBUL evi", &moved);
    check("Hangi ışık?", &moved);
}

#[test]
fn greek_is_found_with_and_without_tonos() {
    let turns = "Χθες αγοράσαμε καινούργιες καρέκλες για την κουζίνα.
        > Η γιαγιά μου φύτεψε τριαντάφυλλα στον κήπο.
        Ο αδελφός μου δουλεύει σε νοσοκομείο στην Πάτρα.";
    check("Ποιο τριαντάφυλλο φύτεψε η γιαγιά;", turns);
    check("ΤΡΙΑΝΤΑΦΥΛΛΑ ΣΤΟΝ ΚΗΠΟ", turns);
    check("γιαγια κηπος", turns);
}

#[test]
fn vietnamese_prefers_the_same_tones_and_is_found_without() {
    let turns = "Hôm qua tôi mua một chiếc xe đạp mới ở chợ.
        > Má tôi nấu phở bò rất ngon vào mỗi chủ nhật.
        Con ma trong truyện làm em bé sợ.
        Anh trai tôi làm việc ở bệnh viện Đà Nẵng.";
    check("Ai nấu phở?", turns);
    check("pho bo", turns);
    check("má", turns);
    let moved = turns.replace("> ", "").replace("Con ma", "> Con ma");
    check("con ma trong truyện", &moved);
    let moved = turns.replace("> ", "").replace("Anh trai", "> Anh trai");
    check("benh vien da nang", &moved);
}

#[test]
fn indonesian_is_found_by_other_forms() {
    let turns = "Kemarin saya membeli sepeda baru di pasar.
        > Anak-anak sedang membaca buku tentang gunung di sekolah.
        Kakak perempuan saya bekerja di rumah sakit.";
    check("Siapa yang baca buku gunungnya?", turns);
}

#[test]
fn arabic_is_found_without_vowels_and_by_other_forms() {
    let turns = "اشتريت أمس دراجة جديدة من السوق.
        > جدتي تزرع الأشجار والورود في الحديقة.
        أخي يعمل طبيبا في مستشفى كبير في القاهرة.";
    check("ماذا تزرع جدتي؟", turns);
    check("ورود في حديقة", turns);
    check("الحَدِيقَة", turns);
    check("الـحـديـقـة", turns);
    let moved = turns.replace("> ", "").replace("أخي", "> أخي");
    check("مستشفي القاهره", &moved);
}

#[test]
fn persian_is_found_by_either_keyboard_and_without_joiners() {
    let turns = "دیروز یک دوچرخه نو از بازار خریدم.
        > مادربزرگم در باغ گل‌های سرخ کاشته است.
        برادرم در بیمارستان شیراز کار می‌کند.";
    check("گلهای سرخ", turns);
    let moved = turns.replace("> ", "").replace("برادرم", "> برادرم");
    check("بيمارستان شيراز كار", &moved);
}

#[test]
fn hebrew_is_found_with_and_without_points() {
    let turns = "אתמול קניתי אופניים חדשים בשוק.
        > סבתא שלי שתלה ורדים בגינה מאחורי הבית.
        אחי עובד בבית חולים בחיפה.";
    check("מי שתלה ורדים?", turns);
    check("וְרָדִים", turns);
}

#[test]
fn indic_scripts_are_found() {
    let hindi = "कल मैंने बाज़ार से नई साइकिल खरीदी।
        > मेरी दादी ने बगीचे में गुलाब के पौधे लगाए।
        मेरा भाई दिल्ली के अस्पताल में काम करता है।";
    check("दादी ने कौन से पौधे लगाए?", hindi);
    let moved = hindi.replace("> ", "").replace("कल", "> कल");
    check("बाजार", &moved);
    let tamil = "நேற்று சந்தையில் புதிய மிதிவண்டி வாங்கினேன்.
        > என் பாட்டி தோட்டத்தில் ரோஜா செடிகளை நட்டார்.
        என் அண்ணன் மதுரை மருத்துவமனையில் வேலை செய்கிறார்.";
    check("பாட்டி தோட்டம் ரோஜா", tamil);
    let bengali = "গতকাল বাজার থেকে নতুন সাইকেল কিনেছি।
        > আমার দাদি বাগানে গোলাপ গাছ লাগিয়েছেন।
        আমার ভাই ঢাকার হাসপাতালে কাজ করে।";
    check("বাগানে গোলাপ", bengali);
}

#[test]
fn armenian_and_georgian_are_found() {
    let armenian = "Երեկ ես նոր հեծանիվ գնեցի շուկայից։
        > Տատիկս այգում վարդեր է տնկել։
        Եղբայրս աշխատում է հիվանդանոցում։";
    check("Ի՞նչ վարդ է այգում", armenian);
    let georgian = "გუშინ ბაზარში ახალი ველოსიპედი ვიყიდე.
        > ბებიამ ბაღში ვარდები დარგო.
        ჩემი ძმა საავადმყოფოში მუშაობს.";
    check("ვარდები ბაღში", georgian);
}

#[test]
fn chinese_is_found_by_words_inside_of_sentences() {
    let turns = "昨天我在市场买了一辆新自行车。
        > 我家的黑猫叫小白，喜欢睡在窗台上。
        我哥哥在上海的医院工作。";
    check("黑猫叫什么名字？", turns);
    check("猫", turns);
    let moved = turns.replace("> ", "").replace("我哥哥", "> 我哥哥");
    check("哥哥在哪家医院工作？", &moved);
}

#[test]
fn japanese_is_found_by_words_and_by_parts_of_loans() {
    let turns = "昨日、市場で新しい自転車を買いました。
        > 誕生日にデジタルカメラをもらって、毎日写真を撮っています。
        兄は大阪の病院で働いています。
        うちの黒猫は窓のそばで寝るのが好きです。";
    check("カメラで何を撮っていますか？", turns);
    check("ﾃﾞｼﾞﾀﾙｶﾒﾗ", turns);
    let moved = turns.replace("> ", "").replace("兄は", "> 兄は");
    check("お兄さんはどこの病院で働いていますか？", &moved);
    let moved = turns.replace("> ", "").replace("うちの", "> うちの");
    check("猫はどこで寝ますか？", &moved);
}

#[test]
fn korean_is_found_whatever_follows_the_noun() {
    let turns = "어제 시장에서 새 자전거를 샀어요.
        > 할머니께서 마당에 장미를 심으셨어요.
        형은 부산에 있는 병원에서 일해요.
        책을 읽다가 잠이 들었어요.";
    check("할머니가 심은 장미", turns);
    let moved = turns.replace("> ", "").replace("형은", "> 형은");
    check("부산 병원", &moved);
    let moved = turns.replace("> ", "").replace("책을", "> 책을");
    check("책", &moved);
}

#[test]
fn scripts_of_south_east_asia_are_found_without_spaces() {
    let thai = "เมื่อวานฉันซื้อจักรยานคันใหม่ที่ตลาด
        > คุณยายปลูกดอกกุหลาบไว้ในสวนหลังบ้าน
        พี่ชายทำงานที่โรงพยาบาลในเชียงใหม่
        ลุงชอบกินปูผัดผงกะหรี่";
    check("ยายปลูกดอกกุหลาบที่ไหน", thai);
    let moved = thai.replace("> ", "").replace("พี่ชาย", "> พี่ชาย");
    check("โรงพยาบาล", &moved);
    let moved = thai.replace("> ", "").replace("ลุง", "> ลุง");
    check("ปู", &moved);
    let lao = "ມື້ວານນີ້ຂ້ອຍຊື້ລົດຖີບໃໝ່ຢູ່ຕະຫຼາດ
        > ແມ່ຕູ້ປູກດອກກຸຫຼາບຢູ່ໃນສວນຫຼັງບ້ານ
        ອ້າຍເຮັດວຽກຢູ່ໂຮງໝໍໃນວຽງຈັນ";
    check("ດອກກຸຫຼາບ", lao);
    let khmer = "ម្សិលមិញខ្ញុំបានទិញកង់ថ្មីនៅផ្សារ
        > ជីដូនរបស់ខ្ញុំបានដាំផ្កាកុលាបនៅក្នុងសួន
        បងប្រុសធ្វើការនៅមន្ទីរពេទ្យភ្នំពេញ";
    check("ផ្កាកុលាប", khmer);
    let burmese = "မနေ့က ဈေးမှာ စက်ဘီးအသစ်တစ်စီး ဝယ်ခဲ့တယ်
        > အဖွားက ခြံထဲမှာ နှင်းဆီပန်းတွေ စိုက်ထားတယ်
        အစ်ကိုက ရန်ကုန်ဆေးရုံမှာ အလုပ်လုပ်တယ်";
    check("နှင်းဆီပန်း", burmese);
}

#[test]
fn words_of_another_script_have_the_stems_of_its_language() {
    check(
        "Which servers?",
        "Мы купили новые книги в магазине у вокзала.
        > Вчера опять упал server с базой данных, пришлось чинить ночью.
        Сестра работает врачом в больнице.",
    );
    check(
        "книга",
        "We painted the kitchen yesterday and it took the whole day.
        > My teacher gave me a list of книги that I should read this month.
        The train to the coast leaves early in the morning.",
    );
}

#[test]
fn digits_of_all_scripts_are_the_same() {
    check(
        "2023",
        "اشتريت دراجة في ١٩٩٩ من السوق.
        > سافرنا إلى مصر في ٢٠٢٣ مع العائلة.",
    );
    check("१२ 12", "मेरे पास 34 किताबें हैं।\n> मेरे पास १२ किताबें हैं।");
}

#[track_caller]
fn check_language(text: &str, expected: Option<Language>) {
    assert_eq!(Language::detect(text), expected, "{text}");
}

#[test]
fn languages_are_detected() {
    let sentences = [
        ("The children are playing in the garden behind the house.", Language::English),
        ("Die Kinder spielen im Garten hinter dem Haus.", Language::German),
        ("Les enfants jouent dans le jardin derrière la maison.", Language::French),
        ("Los niños juegan en el jardín detrás de la casa.", Language::Spanish),
        ("I bambini giocano nel giardino dietro la casa.", Language::Italian),
        ("As crianças brincam no jardim atrás da casa.", Language::Portuguese),
        ("De kinderen spelen in de tuin achter het huis.", Language::Dutch),
        ("Flickorna plockade blåbär och svampar i skogen.", Language::Swedish),
        (
            "Lapset leikkivät puutarhassa ja söivät mustikoita talon takana metsässä.",
            Language::Finnish,
        ),
        ("A gyerekek a ház mögötti kertben játszanak.", Language::Hungarian),
        ("Copiii se joacă în grădina din spatele casei.", Language::Romanian),
        ("Çocuklar evin arkasındaki bahçede top oynuyor ve şarkı söylüyorlar.", Language::Turkish),
        ("Dzieci bawią się w ogrodzie za domem.", Language::Polish),
        ("Děti si hrají na zahradě za domem.", Language::Czech),
        ("Дети играют в саду за домом.", Language::Russian),
        ("Діти граються в саду за будинком.", Language::Ukrainian),
        ("Деца се играју у башти иза куће.", Language::Serbian),
        ("Τα παιδιά παίζουν στον κήπο πίσω από το σπίτι.", Language::Greek),
        ("الأطفال يلعبون في الحديقة خلف المنزل.", Language::Arabic),
        ("بچه‌ها در باغ پشت خانه بازی می‌کنند.", Language::Persian),
        ("הילדים משחקים בגינה מאחורי הבית.", Language::Hebrew),
        ("बच्चे घर के पीछे बगीचे में खेल रहे हैं।", Language::Hindi),
        ("குழந்தைகள் வீட்டின் பின்னால் விளையாடுகிறார்கள்.", Language::Tamil),
        ("Երեխաները խաղում են այգում։", Language::Armenian),
        ("Trẻ em đang chơi trong vườn sau nhà.", Language::Vietnamese),
        ("Anak-anak sedang bermain di kebun di belakang rumah.", Language::Indonesian),
        ("孩子们在屋后的花园里玩。", Language::Chinese),
        ("子供たちは家の裏の庭で遊んでいます。", Language::Japanese),
        ("아이들이 집 뒤 정원에서 놀고 있어요.", Language::Korean),
        ("เด็กๆ กำลังเล่นอยู่ในสวนหลังบ้าน", Language::Thai),
        ("ເດັກນ້ອຍຫຼິ້ນຢູ່ໃນສວນ", Language::Lao),
        ("ក្មេងៗកំពុងលេងនៅក្នុងសួន", Language::Khmer),
        ("ကလေးတွေ ခြံထဲမှာ ကစားနေကြတယ်", Language::Burmese),
    ];
    for (text, language) in sentences {
        check_language(text, Some(language));
    }
    // Words that English shares with others do not make a text English.
    check_language(
        "I gatti e i cani della mia vicina dormono insieme sul divano.",
        Some(Language::Italian),
    );
    check_language("Is dat vandaag of morgen, weet je dat al?", Some(Language::Dutch));
}

#[test]
fn every_language_is_read_by_its_code_and_its_number() {
    for number in 0..Language::COUNT as u64 {
        let language = Language::by_number(number);
        assert_eq!(language.number(), number);
        let read = Language::parse(language.code());
        assert_eq!(read, (language != Language::Other).then_some(language));
    }
    assert_eq!(Language::parse("nb"), Some(Language::Norwegian));
}

fn turn(seq: u64, text: &str) -> Turn {
    Turn {
        seq: Seq(seq),
        role: Role::User,
        name: String::new(),
        parts: vec![Part::Text(text.to_owned())],
        created_at: Timestamp(0),
        committed_at: Timestamp(0),
        external_id: String::new(),
        metadata: Default::default(),
        status: Status::Complete,
    }
}

#[test]
fn a_turn_that_shows_no_language_is_read_as_most_turns_before_it() {
    let mut spoken = Spoken::default();
    let mut settle = |seq, text: &str| {
        let turn = turn(seq, text);
        spoken.settle(&turn, analyse(&turn, ""))
    };
    assert_eq!(settle(1, "Zwei Häuser").language, Language::English);
    let long = "Gestern sind wir mit dem Fahrrad an den See gefahren und haben dort gebadet.";
    assert_eq!(settle(2, long).language, Language::German);
    let short = settle(3, "Zwei Häuser");
    let known = analyse(&turn(3, "Zwei Häuser"), "de");
    assert_eq!((short.language, &short.passages), (Language::German, &known.passages));
    let english = "I think that the weather was nice and that you would have liked it.";
    assert_eq!(settle(4, english).language, Language::English);
    assert_eq!(settle(5, long).language, Language::German);
    assert_eq!(settle(6, "Zwei Boote").language, Language::German);
}

#[test]
fn a_short_turn_shows_its_language_by_its_little_words() {
    check_language("Ich bin hier.", Some(Language::German));
    check_language("Je ne sais pas", Some(Language::French));
    check_language("Häuser", None);
}

#[test]
fn terms_know_by_which_language_of_a_policy_they_were_made() {
    let turn = turn(1, "Die Kinder spielen im Garten hinter dem Haus.");
    let (detected, german) = (analyse(&turn, ""), analyse(&turn, "de"));
    assert!(detected.is_by("") && !detected.is_by("de") && !detected.is_by("en"));
    assert!(german.is_by("de") && german.is_by("de-AT"));
    assert!(!german.is_by("") && !german.is_by("en"));
    assert_eq!(detected.passages, german.passages);
}

/// Whether each word of `piece`, asked alone, is among the terms of a text, or a stop word.
fn finds(text: &str, piece: &str) -> Result<(), TestCaseError> {
    let terms = analyse_text(text, None);
    let reader = Reader::new(terms.language, &[(terms.language, 1)]);
    let mut missing = Vec::new();
    reader.each(piece, &mut |_, term| {
        let has = |hash: &u64| {
            let mut terms = terms.passages.iter().flat_map(|passage| &passage.terms);
            terms.any(|(known, _)| known == hash)
        };
        missing.extend(term.filter(|term| !term.hashes.iter().any(has)));
    });
    prop_assert!(missing.is_empty(), "{:?} of {:?} is not in {:?}", missing, piece, text);
    Ok(())
}

proptest! {
    #[test]
    fn every_piece_of_a_text_finds_it(
        text in "([a-zA-ZäöüßéñİıçşøłđơẠ0-9_./:@+#'-]{1,12}|[А-яёЁіїй]{1,9}|[α-ωάΆς]{1,9}\
            |[א-ת]{1,6}|[ء-ي]{1,8}|[क-ह]{1,5}|[一-三東京猫日本]{1,5}|[あ-んァ-ンー]{1,8}|[가-힣]{1,5}\
            |[ก-ฮ][ก-ฮะาิ]{0,8}|[က-အ]{1,6}|[ក-អ][ក-អា]{0,5}|[ & ,.?!]{1,3}){1,12}"
    ) {
        for piece in text.split_whitespace() {
            finds(&text, piece)?;
        }
    }

    #[test]
    fn no_text_makes_analysis_panic(text in "(?s).{0,200}") {
        for number in 0..Language::COUNT as u64 {
            analyse_text(&text, Some(Language::by_number(number)));
        }
        analyse_text(&text, None);
    }

    #[test]
    fn no_word_makes_a_stemmer_panic(
        text in "([a-zäöüßéèñçøåęąłžščőűğışâîăț]{1,20}|[а-яіїєґђљ]{1,20}|[α-ωά]{1,20}|[א-ת]{1,20}\
            |[ء-ي]{1,20}|[پچژگکی]{1,9}|[ऀ-ॿ]{1,20}|[\u{b82}-\u{bcd}]{1,20}|[ա-և]{1,20}| ){1,12}"
    ) {
        for number in 0..Language::COUNT as u64 {
            analyse_text(&text, Some(Language::by_number(number)));
        }
    }
}
