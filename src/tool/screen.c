/*
 * screen: signals are not curses' business here: whoever opens a screen blocks SIGWINCH and SIGTSTP, so that
 * its handlers never run, and tells it of a new size (screen_size) and of a stop (screen_leave). Each cell is
 * put at its own place: where the terminal takes a character for wider or narrower than we do, its neighbours
 * suffer, and no line grows.
 */
#include "metergate/tool/screen.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "metergate/tool/grid.h"
#include "metergate/tool/view.h"

/* last: it makes macros of everyday words */
#include <term.h>
#undef columns

static SCREEN *terminal;
static bool utf8, colours;

static void choose_colours(void)
{
    static const short fore[] = {COLOR_GREEN, COLOR_YELLOW, COLOR_RED, COLOR_CYAN};
    const char *none = getenv("NO_COLOR");

    colours = has_colors() && !(none && *none) && start_color() == OK && use_default_colors() == OK;
    for (size_t i = 0; colours && i < MG_ARRAY_LEN(fore); i++)
        init_pair((short)(i + 1), fore[i], -1);
}

#define PAIR(n) (colours ? COLOR_PAIR(n) : 0)

static attr_t look_of(enum style style)
{
    switch (style) {
    case STYLE_STRONG:
        return A_BOLD;
    case STYLE_FAINT:
        return colours ? A_DIM : A_NORMAL;
    case STYLE_TITLE:
        return A_UNDERLINE;
    case STYLE_TITLE_ON:
        return A_REVERSE | A_BOLD;
    case STYLE_CHOSEN:
        return A_REVERSE;
    case STYLE_USED:
    case STYLE_GOOD:
        return (attr_t)PAIR(1);
    case STYLE_RESERVED:
        return (attr_t)PAIR(4);
    case STYLE_WARN:
        return A_BOLD | (attr_t)PAIR(2);
    case STYLE_BAD:
        return A_BOLD | (attr_t)PAIR(3);
    default:
        return A_NORMAL;
    }
}

/* Asked before newterm is, which does not give back what it took for a terminal that it does not know, and takes one that
 * cannot place a character (dumb: a shell in an editor, a log) for one that can. */
static bool usable(struct errbuf *e)
{
    const char *term = getenv("TERM");
    bool places;
    int why;

    if (setupterm(NULL, STDOUT_FILENO, &why) != OK) {
        err_set(e, "nothing is known of this terminal (TERM is %s); metergate status prints the same once",
                term ? term : "not set");
        return false;
    }
    places = cursor_address != NULL;
    del_curterm(cur_term);
    if (!places)
        err_set(e, "this terminal has no pages, but lines alone (TERM is %s); metergate status prints the same once",
                term ? term : "not set");
    return places;
}

int screen_open(struct errbuf *e)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        err_set(e, "top wants a terminal; metergate status prints the same once");
        return -ENOTTY;
    }
    setlocale(LC_CTYPE, "");
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    set_escdelay(50);
    if (!usable(e))
        return -ENOTTY;
    terminal = newterm(NULL, stdout, stdin);
    if (!terminal) {
        err_set(e, "this terminal cannot be used; metergate status prints the same once");
        return -ENOTTY;
    }
    choose_colours();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    return 0;
}

/* A terminal that has but one page keeps what was there, and the shell goes on in its last line: not behind
 * ours. */
static void give_back(void)
{
    if (isendwin())
        return;
    move(LINES - 1, 0);
    clrtoeol();
    refresh();
    endwin();
}

void screen_close(void)
{
    if (!terminal)
        return;
    give_back();
    delscreen(terminal);
    terminal = NULL;
}

void screen_leave(void)
{
    give_back();
    clearok(curscr, TRUE); /* what is there when it is taken again is not ours */
}

void screen_size(int *ret_rows, int *ret_columns)
{
    struct winsize size;
    int rows, columns;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        rows = size.ws_row < GRID_SIDE_MAX ? size.ws_row : GRID_SIDE_MAX;
        columns = size.ws_col < GRID_SIDE_MAX ? size.ws_col : GRID_SIDE_MAX;
        if (rows != LINES || columns != COLS) {
            resizeterm(rows, columns); /* of sizes that no terminal has curses makes windows that it then lacks */
            clearok(curscr, TRUE);
        }
    }
    *ret_rows = LINES;
    *ret_columns = COLS;
}

/* A terminal of ASCII shows others as a '?'. */
static void show_cell(int row, int column, const struct cell *c)
{
    bool ascii = (unsigned char)c->text[0] < 0x80;
    int n = (int)strlen(c->text);

    attrset((int)look_of((enum style)c->style));
    if (utf8 || (ascii && n == 1))
        mvaddnstr(row, column, c->text, n);
    else
        mvaddnstr(row, column, ascii ? c->text : "?", 1);
}

void screen_show(const struct grid *g)
{
    erase();
    for (int row = 0; row < g->rows && row < LINES; row++) {
        for (int column = 0; column < g->columns && column < COLS; column++) {
            const struct cell *c = grid_cell(g, row, column);

            if (c->text[0])
                show_cell(row, column, c);
        }
    }
    move(LINES - 1, 0);
    refresh();
}

int screen_key(void)
{
    static const struct {
        int curses, ours;
    } keys[] = {
        {KEY_UP, VIEW_KEY_UP},       {KEY_DOWN, VIEW_KEY_DOWN},     {KEY_LEFT, VIEW_KEY_LEFT},
        {KEY_RIGHT, VIEW_KEY_RIGHT}, {KEY_PPAGE, VIEW_KEY_PAGE_UP}, {KEY_NPAGE, VIEW_KEY_PAGE_DOWN},
        {KEY_HOME, VIEW_KEY_HOME},   {KEY_END, VIEW_KEY_END},       {KEY_BTAB, VIEW_KEY_BACK_TAB},
        {KEY_ENTER, '\r'},
    };
    int key = getch();

    if (key == ERR)
        return -1;
    for (size_t i = 0; i < MG_ARRAY_LEN(keys); i++) {
        if (key == keys[i].curses)
            return keys[i].ours;
    }
    return key < 0x80 ? key : 0;
}
