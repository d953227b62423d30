"""The words, emoji and emoticons by which an emotion is read; base forms, two words at most."""

from __future__ import annotations

from models.emotion import Label

_WORDS: dict[Label, str] = {
    "anger": """
        anger, angry, annoy, annoyance, argue, bastard, bellow, betray, bitter, blame, clench, curse, damn,
        despise, enrage, exasperate, fed up, frustrate, frustration, fuming, fume, fury, furious, glare,
        growl, grudge, hate, hatred, hostile, hostility, how dare, infuriate, insult, irate, irritate,
        irritation, livid, mad, outrage, pissed, provoke, punch, rage, resent, resentment, revenge, roar,
        scowl, screw you, seethe, shut up, slam, snarl, sneer, spiteful, storm off, temper, vengeance,
        vengeful, wrath, yell
    """,
    "disgust": """
        abhor, abhorrent, appall, awful smell, barf, creepy, cringe, disgust, eww, ew, filth, filthy, foul,
        gag, gross, grimace, icky, loathe, loathing, loathsome, nasty, nausea, nauseate, nauseous,
        nauseating, obscene, puke, putrid, rancid, recoil, repel, repugnant, repulse, repulsive, retch,
        revolt, revulsion, rotten, sickening, slimy, stench, stink, ugh, unclean, vile, vomit, wretched
        smell, wrinkle nose, yuck
    """,
    "fear": """
        afraid, alarm, anxiety, anxious, apprehensive, cower, danger, dread, dreadful, fear, fearful, flee,
        flinch, fright, frighten, go pale, heart pound, heart race, horrify, horror, hysterical, menacing,
        nervous, nightmare, panic, paranoid, petrify, quake, quiver, run away, scare, scary, scream, shiver,
        shudder, spook, startled back, terrify, terror, terrible danger, threat, threaten, timid, tremble,
        trembling, uneasy, whimper, worry
    """,
    "joy": """
        adore, amuse, beam, bliss, blissful, celebrate, celebration, cheer, cheerful, chuckle, cuddle,
        dance, delight, delightful, ecstatic, elate, embrace, enjoy, euphoria, euphoric, excite, excitement,
        fantastic, fun, giggle, glad, glee, grateful, gratitude, grin, haha, happiness, happy, hooray, hug,
        joy, joyful, joyous, jubilant, kiss, laugh, laughter, lol, love, lovely, merry, overjoyed, playful,
        pleased, pleasure, proud, purr, relieve, relief, rejoice, smile, smirk, sunshine, sweetheart, thank,
        thankful, thrill, triumph, wonderful, yay, yippee
    """,
    "sadness": """
        abandon, alone, anguish, ashamed, bereave, break down, broken, bury, cry, dead, death, depress,
        depression, despair, desperate, devastate, die, disappoint, disappointment, farewell, funeral,
        gloom, gloomy, goodbye, grief, grieve, guilt, heartache, heartbreak, heartbroken, helpless,
        homesick, hopeless, hurt, lament, lonely, loneliness, lose, loss, melancholy, miserable, misery,
        miss you, mourn, pain, regret, remorse, sad, sadness, sigh, sniffle, sob, sorrow, sorrowful, sorry,
        sulk, tear, tearful, unhappy, wail, weep, wept, worthless
    """,
    "surprise": """
        amaze, amazement, astonish, astonishment, astound, baffle, bewilder, blink, can't believe,
        disbelief, dumbfound, eye widen, flabbergast, gasp, gobsmacked, holy cow, incredible, incredulous,
        jaw drop, mind blown, no way, oh my, omg, out nowhere, raise eyebrow, shock, speechless, stagger,
        startle, stun, stupefy, sudden, suddenly, surprise, unbelievable, unexpected, unexpectedly, what
        the, whoa, wow
    """,
}

_SIGNS: dict[Label, str] = {
    "anger": "😠 😡 🤬 💢 👿 😤 >:( >:[",
    "disgust": "🤢 🤮 😖 🤧 💩",
    "fear": "😨 😱 😰 😧 🫣 😟 D:",
    "joy": "😀 😃 😄 😁 😆 😂 🤣 😊 🙂 😍 🥰 😘 😋 🤗 🥳 😎 😺 😸 😹 🎉 "
    "❤ 💕 💖 💗 💛 💜 💙 💚 🧡 ♥ ☺ <3 :) :-) :D :-D xD XD "
    "^^ ^_^ ;) =)",
    "sadness": "😢 😭 😞 😔 😿 🥺 💔 ☹ 🙁 😥 😓 :( :-( :'( ;_; T_T =(",
    "surprise": "😮 😲 😯 🤯 😳 🙀 :O :o O_O o_o :-O",
}

WORDS: dict[str, Label] = {
    " ".join(words.split()): label for label, listed in _WORDS.items() for words in listed.split(",")
}
SIGNS: dict[str, Label] = {sign: label for label, listed in _SIGNS.items() for sign in listed.split()}

PHRASE_STARTS: frozenset[str] = frozenset(words.split()[0] for words in WORDS if " " in words)

NEGATIONS: frozenset[str] = frozenset(
    "not no never none nobody nothing neither nor without hardly barely scarcely cannot stop stopped".split()
)
AFFIRMING_AFTER_NEGATION: frozenset[str] = frozenset("stop help wait resist only just so such more".split())
"""Between a negation and a word these turn it round again: "can't stop smiling", "never so happy"."""
