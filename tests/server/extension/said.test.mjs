/** What of a prompt is the chat, and what SillyTavern put into it; run by tests/server/test_extension.py. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

const { nobodys, Said, showsAll } = await import(`${process.env.EXTENSION}/said.js`);

const u = (content) => ({ role: 'user', content });
const a = (content) => ({ role: 'assistant', content });
const s = (content) => ({ role: 'system', content });
const CHAT = [a('Come in.'), u('Good evening.'), a('Sit.'), u('It rains.'), a('Yes.'), u('Yes.')];
const NOTE = u('[The storm grows.]');
const none = (rows) => rows.map(() => false);
const found = (rows, chat = CHAT, foreign = none(rows)) => nobodys(rows, chat, foreign).sort((x, y) => x - y);
const put = (chat, ...places) => places.reduceRight((rows, [at, row]) => rows.toSpliced(at, 0, row), chat);

test('nothing is found in a chat without notes', () => {
    assert.deepEqual(found([s('card'), ...CHAT, s('rules')]), []);
    assert.deepEqual(found([s('card')], []), []);
});

for (let at = 0; at <= CHAT.length; at += 1) {
    for (const note of [NOTE, a(NOTE.content), u('Yes.'), a('Yes.'), u('')]) {
        test(`a note is found before message ${at}: ${note.role} ${note.content}`, () => {
            const rows = [s('card'), ...put(CHAT, [at, note]), s('rules')];
            const left = new Set(found(rows));
            const kept = rows.filter((row, n) => row.role !== 'system' && !left.has(n));
            assert.deepEqual([kept, left.size], [CHAT, 1]);
        });
    }
}

test('several notes and prompts are found, in a chat that lost its oldest messages too', () => {
    const rows = put(CHAT, [0, u('Write the next reply.')], [2, NOTE], [2, a('Lore.')], [6, u('(go on)')]);
    assert.deepEqual(found(rows), [0, 3, 4, 9]);
    const trimmed = rows.toSpliced(1, 2);
    assert.deepEqual(found(trimmed, CHAT, trimmed.map((_, n) => n === 0)), [0, 7]);
});

test('a message that was rewritten on its way is not taken for a note', () => {
    const rows = CHAT.with(2, a('*Sit.*'));
    assert.deepEqual(found(rows), []);
    assert.deepEqual(found(put(rows, [5, NOTE])), [5]);
    assert.deepEqual(found(put(rows, [2, NOTE])), []);
    assert.deepEqual(found(CHAT.with(0, a('*Come in.*'))), []);
    assert.deepEqual(found(CHAT.with(5, u('*Yes.*'))), []);
    assert.deepEqual(found(CHAT.map((row) => ({ ...row, content: `${row.content}!` }))), []);
});

test('a message with a picture is a message', () => {
    const picture = { role: 'user', content: [{ type: 'text', text: 'It rains.' }, { type: 'image_url' }] };
    assert.deepEqual(found(CHAT.with(3, picture)), []);
});

/** How SillyTavern tells what a chat is in a prompt. */
const parts = (identifiers) => ({
    formatted: (messages) => messages.filter(({ ignored }) => !ignored),
    identifiers: () => identifiers,
    isIgnored: ({ ignored }) => Boolean(ignored),
});

/** A prompt as SillyTavern makes it, and what of it is told. */
function told(rows, { chat = CHAT, identifiers = rows.map(() => undefined), dryRun = false, processed = false } = {}) {
    const said = new Said();
    said.prompted(chat);
    said.ready({ chat: rows, dryRun }, parts(identifiers));
    return said.injected([...rows], processed);
}

test('place and text of what nobody said are told', () => {
    const rows = [s('card'), ...put(CHAT, [4, NOTE]), s('rules')];
    assert.deepEqual(told(rows), [[5, NOTE.content]]);
    assert.deepEqual(told(rows, { processed: true }), [[5, NOTE.content], [8, 'rules']]);
});

test('SillyTavern\'s own names tell its prompts from the chat', () => {
    const rows = [u('Write.'), s('card'), ...CHAT.slice(3), a('Sure:')];
    const identifiers = ['main', 'charDescription', 'chatHistory-4', 'chatHistory-5', 'chatHistory-6', 'custom'];
    assert.deepEqual(told(rows, { identifiers }), [[0, 'Write.'], [5, 'Sure:']]);
    assert.deepEqual(told(rows, { identifiers: identifiers.slice(1) }), [[5, 'Sure:']]);
});

test('a prompt shows all of the chat where none of its messages is missing', () => {
    assert.equal(showsAll([s('card'), ...put(CHAT, [0, u('Write.')], [4, NOTE]), s('rules')], CHAT), true);
    assert.equal(showsAll(put(CHAT, [2, s('Night falls.')]), put(CHAT, [2, s('Narrator')])), true);
    for (const n of CHAT.keys()) {
        assert.equal(showsAll(CHAT.toSpliced(n, 1), CHAT), false);
    }
    assert.equal(showsAll([...CHAT.slice(1), CHAT[0]], CHAT), false);
});

test('a prompt is whole where it was made of all that the chat shows', () => {
    const whole = (rows, chat, visible, sent = (all) => [...all]) => {
        const said = new Said();
        said.prompted(chat);
        said.ready({ chat: rows }, parts([]));
        return said.isWhole(sent(rows), visible);
    };
    const rows = [s('card'), ...CHAT];
    assert.equal(whole(rows, CHAT, CHAT.length), true);
    assert.equal(whole(rows, CHAT, CHAT.length + 1), false, 'an extension took one away before');
    assert.equal(whole(rows.toSpliced(1, 1), CHAT, CHAT.length), false, 'one fell out of the prompt');
    assert.equal(whole(rows, CHAT, CHAT.length, (all) => all.toSpliced(3, 1)), false, 'one was taken away behind us');
    const without = CHAT.map((message, n) => (n < 2 ? { ...message, ignored: true } : message));
    assert.equal(whole([s('card'), ...CHAT.slice(2)], without, CHAT.length), false, 'for this prompt alone');
    assert.equal(whole([s('card'), ...CHAT.slice(2)], without, CHAT.length - 2), true, 'in the chat too');
    assert.equal(new Said().isWhole(rows, CHAT.length), false);
    assert.equal(new Said().isWhole([], 0), false);
});

test('a dry run, a prompt without a chat and messages of another prompt tell nothing', () => {
    const rows = [NOTE, ...CHAT];
    assert.deepEqual(told(rows, { dryRun: true }), []);
    assert.deepEqual(told(rows, { chat: null }), []);
    const said = new Said();
    assert.deepEqual(said.injected(rows, false), []);
    assert.deepEqual(said.injected(undefined, true), []);
});
