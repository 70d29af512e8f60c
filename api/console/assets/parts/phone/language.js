/** The language of `text`, as a carrier would hear it. Here, Chinese is told by its letters; all else is in the `usual` one. */
export const languageOf = (text, usual = "en-US") => (/\p{scx=Han}/u.test(text) && !/^(zh|yue|ja)/i.test(usual) ? "zh-CN" : usual);
