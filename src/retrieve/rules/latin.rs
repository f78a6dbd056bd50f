//! Rule words of languages written in Latin letters. Words stand as analysis leaves them before
//! stemming: case-folded, split at apostrophes.

use crate::retrieve::rules::Table;

pub(super) const ENGLISH: Table = Table {
    stop: "a an the and or but nor so if then than that this these those there here of to in on at \
        by for from with without about into onto over under up down out off as is am are was were \
        be been being do does did doing done have has had having will would shall should can could \
        may might must it its itself he him his himself she her hers herself they them their \
        theirs themselves you your yours yourself yourselves i me my mine myself we us our ours \
        ourselves not no don doesn didn isn aren wasn weren won wouldn shouldn couldn haven hasn \
        hadn ain can't cannot ll re ve let us just also too very really quite only even still yet \
        some any each every both all such own same other another ever never etc s t m d",
    question: "what which who whom whose when where why how",
    first_person: "i me my mine myself we us our ours",
    second_person: "you your yours",
    said: "said told suggested recommended mentioned gave given provided remind reminded \
        explained listed wrote advised outlined described proposed answered",
    time: "today yesterday tomorrow tonight morning afternoon evening night day days week weeks \
        weekend month months year years ago last next since recently soon later monday tuesday \
        wednesday thursday friday saturday sunday january february march april june july august \
        september october november december spring summer autumn fall winter birthday \
        anniversary christmas easter thanksgiving halloween",
    acknowledgement: "ok okay k kk thanks thank thx ty cheers yes yeah yep yup sure nope nah great \
        good nice cool perfect awesome excellent amazing wonderful lovely fine right correct \
        exactly agree agreed absolutely definitely indeed totally alright got get it gotcha \
        understood understand see makes make sense sounds sound hello hi hey bye goodbye morning \
        evening night please sorry welcome continue go going ahead proceed next more again repeat \
        retry \
        try redo explain elaborate clarify expand simplify shorten shorter longer shorten brief \
        briefer detail details detailed example examples mean meaning means meant tell say give \
        show help wait stop wow oh ah hmm hm um uh lol haha hah well now much lot appreciate \
        appreciated interesting true wrong maybe perhaps done ready yay carry keep better best \
        different rephrase rewrite summarize summary thought thoughts idea think know knew want \
        need like love would course bit one thing things something anything everything nothing \
        that's works work worked happy glad helpful problem worries mind question questions \
        answer response reply fair enough point noted roger copy sir mate dude man bro later \
        soon ya till until then first second another way look looks seems that",
    months: "january february march april may june july august september october november december",
    speaker: "I my",
    turned: "she I he I her my his my hers mine him me herself myself himself myself",
    auxiliary: "do does did is are was were has have had will would can could should",
};

pub(super) const GERMAN: Table = Table {
    stop: "der die das den dem des ein eine einer eines einem einen und oder aber denn doch auch \
        noch nur schon sehr so dass ob weil als wie wenn dann da hier dort ist sind war waren bin \
        bist sein seid gewesen werden wird wurde wurden worden hat haben habe hatte hatten hast \
        kann können könnte konnte soll sollte muss müssen darf dürfen mag möchte will wollen würde \
        ich mich mir mein meine meiner meinem meinen wir uns unser unsere du dich dir dein deine \
        deinem deinen sie er es ihn ihm ihr ihre ihrem ihren sich man nicht kein keine keinen von \
        vom zu zum zur in im ins an am ans auf aus bei beim bis durch für gegen mit nach ohne um \
        über unter vor zwischen dies diese dieser dieses diesem diesen jener alle alles etwas \
        nichts ja eben mal halt ganz gar",
    question: "was wer wen wem wessen wann wo wohin woher warum wieso weshalb wie welche welcher \
        welches welchen welchem wieviel wieviele",
    first_person: "ich mich mir mein meine meiner meinem meinen wir uns unser unsere",
    second_person: "du dich dir dein deine sie ihr ihnen",
    said: "gesagt sagtest sagten empfohlen empfahlst vorgeschlagen erwähnt genannt erklärt erzählt \
        gegeben",
    time: "heute gestern vorgestern morgen übermorgen abend nachmittag nacht tag tage tagen woche \
        wochen wochenende monat monate jahr jahre jahren vor letzte letzten letzter letztes \
        nächste \
        nächsten nächster nächstes seit kürzlich bald später montag dienstag mittwoch donnerstag \
        freitag samstag sonntag januar februar märz april mai juni juli august september oktober \
        november dezember frühling sommer herbst winter geburtstag weihnachten ostern",
    acknowledgement: "ok okay danke dankeschön vielen dank bitte gern gerne ja jo jap nein nö klar \
        gut super toll prima perfekt genau richtig stimmt verstanden verstehe verstehst alles \
        hallo hi hey tschüss servus moin weiter mach mache machen fortfahren fortsetzen nochmal \
        nochmals noch einmal wiederhole wiederholen erkläre erklär erklären erkläre genauer \
        kürzer länger mehr weniger bitte beispiel beispiele meinst meinen gemeint zeig zeige sag \
        sage hilf hilfe stopp warte warten wow ach aha oh hm hmm na so passt einverstanden sicher \
        natürlich vielleicht okey schön schöner morgen abend tag nacht guten gute guter \
        interessant \
        cool spitze wunderbar ausgezeichnet los geht gehts damit davon dazu anders besser sinn \
        ergibt macht weiß gedacht fertig bereit freut mich sehr gerade",
    months: "januar februar märz april mai juni juli august september oktober november dezember",
    speaker: "ich mein",
    turned: "",
    auxiliary: "",
};

pub(super) const FRENCH: Table = Table {
    stop: "le la les l un une des du de d et ou mais donc or ni car que qu si comme ce cet cette \
        ces c ça cela ceci il elle ils elles on je j me m moi mon ma mes nous notre nos tu te t \
        toi \
        ton ta tes vous votre vos se s soi son sa ses leur leurs lui eux y en ne n pas plus est es \
        suis sommes êtes sont était étais étaient être été ai as a avons avez ont avait avais \
        avaient avoir eu fait faire fais peut peux pouvez pourrait dois doit à au aux dans par \
        pour \
        sur sous avec sans vers chez entre très trop aussi encore bien même tout tous toute toutes \
        là ici qui dont",
    question: "qui que quoi quel quelle quels quelles quand où pourquoi comment combien lequel \
        laquelle",
    first_person: "je j me moi mon ma mes nous notre nos",
    second_person: "tu te toi ton ta tes vous votre vos",
    said: "dit disais recommandé suggéré proposé mentionné expliqué conseillé donné",
    time: "aujourd hui hier avant demain matin après midi soir nuit jour jours semaine semaines \
        mois an ans année années dernier dernière prochain prochaine depuis récemment bientôt \
        tard lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril mai \
        juin juillet août septembre octobre novembre décembre printemps été automne hiver \
        anniversaire noël pâques",
    acknowledgement: "ok d'accord accord merci beaucoup oui ouais non si parfait super génial bien \
        bon bonne très exact exactement compris comprends entendu vu voilà bonjour salut bonsoir \
        revoir continue continuez continuer vas allez va encore répète répéter répétez explique \
        expliquer expliquez précise précisez court longue long détail détails exemple exemples \
        veux dire dis montre aide plaît plait svp stop attends attendez wow ah oh hum euh mieux \
        autre fois suite suivant suivante d'abord bravo cool intéressant chouette excellent sens \
        sûr peut-être certainement volontiers rien journée soirée nuit reformule résume",
    months: "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    speaker: "je mon",
    turned: "",
    auxiliary: "",
};

pub(super) const SPANISH: Table = Table {
    stop: "el la los las lo un una unos unas y e o u pero ni que si como de del al a en con sin \
        por \
        para sobre entre desde hasta hacia es son era eran soy eres somos fue fueron ser sido está \
        están estoy estás estaba estar he has ha hemos han había haber hay yo me mi mis mí mío \
        nosotros nos nuestro nuestra tú tu te ti tus usted ustedes él ella ellos ellas se su sus \
        le \
        les lo no ya muy más menos también tan tanto todo toda todos todas este esta estos estas \
        ese esa eso esos esas esto aquí ahí allí puede puedo puedes podría debe debo porque pues \
        cuando donde quien",
    question: "qué quién quiénes cuál cuáles cuándo dónde cómo cuánto cuánta cuántos cuántas por \
        que cual cuanto",
    first_person: "yo me mi mis mí mío mía nosotros nos nuestro nuestra",
    second_person: "tú tu te ti tus usted ustedes dijiste recomendaste sugeriste mencionaste \
        explicaste aconsejaste diste",
    said: "dijiste dijo recomendaste recomendó sugeriste mencionaste explicaste aconsejaste diste",
    time: "hoy ayer anteayer mañana tarde noche día días semana semanas mes meses año años hace \
        pasado pasada próximo próxima desde recientemente pronto luego lunes martes miércoles \
        jueves viernes sábado domingo enero febrero marzo abril mayo junio julio agosto septiembre \
        octubre noviembre diciembre primavera verano otoño invierno cumpleaños navidad",
    acknowledgement: "ok okay vale gracias muchas muchísimas sí si no claro bien bueno buena \
        buenos \
        buenas genial perfecto perfecta estupendo excelente exacto exactamente correcto entendido \
        entiendo comprendo hola adiós chao sigue siga continúa continúe continuar adelante otra \
        vez \
        repite repetir repítelo explica explícame explicar detalle detalles ejemplo ejemplos \
        quieres decir dime muestra muéstrame ayuda ayúdame favor para espera oye ah oh mmm eh más \
        corto corta largo larga mejor después siguiente días tardes noches acuerdo listo guay \
        interesante cierto seguro quizás nada resume resumen sentido",
    months: "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre \
        diciembre",
    speaker: "yo mi",
    turned: "",
    auxiliary: "",
};

pub(super) const ITALIAN: Table = Table {
    stop: "il lo la i gli le l un uno una e ed o ma se che di del dello della dei degli delle a al \
        allo alla ai agli alle da dal dalla in nel nella nei con su sul sulla per tra fra è sono \
        era erano sei siamo essere stato stata ho hai ha abbiamo hanno avere aveva io mi me mio \
        mia \
        miei noi ci nostro tu ti te tuo tua voi vi lui lei loro si suo sua non più molto anche \
        questo questa questi quello quella così già ancora c",
    question: "che cosa chi quale quali quando dove perché come quanto quanta quanti quante cos",
    first_person: "io mi me mio mia miei mie noi ci nostro nostra",
    second_person: "tu ti te tuo tua voi vi vostro",
    said: "detto consigliato suggerito menzionato spiegato",
    time: "oggi ieri domani mattina pomeriggio sera notte giorno giorni settimana settimane mese \
        mesi anno anni fa scorso scorsa prossimo prossima lunedì martedì mercoledì giovedì venerdì \
        sabato domenica gennaio febbraio marzo aprile maggio giugno luglio agosto settembre \
        ottobre novembre dicembre",
    acknowledgement: "ok okay grazie mille prego sì no certo va bene bello perfetto ottimo esatto \
        giusto capito capisco ciao buongiorno buonasera continua continui avanti ancora ripeti \
        spiega spiegami esempio esempi dettagli favore aiuto aspetta vuoi dire dimmi più meno \
        meglio breve lungo fantastico interessante d'accordo accordo senso",
    months: "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre \
        dicembre",
    speaker: "io mio",
    turned: "",
    auxiliary: "",
};

pub(super) const PORTUGUESE: Table = Table {
    stop: "o a os as um uma uns umas e ou mas se que de do da dos das em no na nos nas por pelo \
        pela para com sem sobre entre até é são era eram sou ser foi foram está estão estou estava \
        tem tenho tinha ter há eu me mim meu minha meus minhas nós nosso nossa tu te ti teu tua \
        você vocês seu sua seus suas ele ela eles elas lhe isso isto este esta esse essa aquele \
        aquela não já muito mais também ao à às",
    question: "que quê quem qual quais quando onde como quanto quanta quantos quantas porque por",
    first_person: "eu me mim meu minha meus minhas nós nosso nossa",
    second_person: "tu te ti teu tua você vocês disseste",
    said: "disse disseste recomendou sugeriu mencionou explicou",
    time: "hoje ontem amanhã manhã tarde noite dia dias semana semanas mês meses ano anos atrás \
        passado passada próximo próxima segunda terça quarta quinta sexta sábado domingo janeiro \
        fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    acknowledgement: "ok obrigado obrigada valeu sim não claro certo bom boa bem ótimo perfeito \
        legal exato entendi entendido compreendo olá oi tchau continue continua prossiga segue \
        adiante vez repete repita explica explique exemplo exemplos detalhes favor ajuda espera \
        quer dizer diga mais menos melhor curto longo combinado beleza sentido",
    months: "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro \
        dezembro",
    speaker: "eu meu",
    turned: "",
    auxiliary: "",
};

pub(super) const DUTCH: Table = Table {
    stop: "de het een en of maar want dus dat die dit deze er hier daar is zijn was waren ben bent \
        wordt werd worden heb hebt heeft hebben had hadden kan kunnen kon zal zou moet moeten mag \
        wil ik mij me mijn wij we ons onze jij je jou jouw u uw hij hem zijn zij ze haar hun niet \
        geen van voor in op aan met naar bij om uit over tot door te ook nog al wel zo als dan om",
    question: "wat wie welke welk wanneer waar waarom hoe hoeveel waarheen",
    first_person: "ik mij me mijn wij we ons onze",
    second_person: "jij je jou jouw u uw",
    said: "zei gezegd aanbevolen voorgesteld genoemd verteld uitgelegd",
    time: "vandaag gisteren morgen ochtend middag avond nacht dag dagen week weken weekend maand \
        maanden jaar geleden vorige volgende sinds maandag dinsdag woensdag donderdag vrijdag \
        zaterdag zondag januari februari maart april mei juni juli augustus september oktober \
        november december",
    acknowledgement: "ok oké bedankt dank dankjewel dankje graag ja nee prima goed mooi top \
        perfect \
        precies klopt begrepen snap hallo hoi doei verder ga door doorgaan opnieuw nog eens \
        herhaal leg uitleggen voorbeeld voorbeelden details alsjeblieft alstublieft help wacht \
        bedoel bedoel zeg meer minder beter korter langer leuk super",
    months: "januari februari maart april mei juni juli augustus september oktober november \
        december",
    speaker: "ik mijn",
    turned: "",
    auxiliary: "",
};

pub(super) const TURKISH: Table = Table {
    stop: "bir ve veya ama fakat ile için de da ki bu şu o bunu şunu onu ben beni bana benim sen \
        seni sana senin biz bizi bize bizim siz sizi size sizin onlar mi mı mu mü çok daha en gibi \
        kadar değil var yok olan olarak her hiç",
    question: "ne kim hangi nerede nereye nasıl neden niçin niye kaç zaman",
    first_person: "ben beni bana benim biz bizi bize bizim",
    second_person: "sen seni sana senin siz sizi size sizin",
    said: "dedin söyledin önerdin",
    time: "bugün dün yarın sabah akşam gece gün hafta ay yıl önce sonra geçen gelecek pazartesi \
        salı \
        çarşamba perşembe cuma cumartesi pazar ocak şubat mart nisan mayıs haziran temmuz ağustos \
        eylül ekim kasım aralık",
    acknowledgement: "tamam teşekkürler teşekkür ederim sağol evet hayır tabii iyi güzel harika \
        süper mükemmel aynen anladım merhaba selam devam et tekrar açıkla örnek lütfen yardım \
        bekle \
        peki olur doğru",
    months: "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
    speaker: "ben benim",
    turned: "",
    auxiliary: "",
};
