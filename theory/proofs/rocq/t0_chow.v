(* T0: the least attention at a given error rate is Chow's curve.

   W is what is known before deciding, of a finite law P; post w is the law of the value given W = w. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Cogfit Require Import finite.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Chow.
Variables (R : realFieldType) (W Y : finType) (P : W -> R) (post : W -> Y -> R).
Hypothesis P_ge0 : forall w, 0 <= P w.
Hypothesis post_law : forall w, is_law (post w).

(* The likeliest value, and the chance that it is wrong: 1 - G(w). *)
Variable best : W -> Y.
Hypothesis best_is_likeliest : forall w y, post w y <= post w (best w).
Definition loss w := 1 - post w (best w).

(* A rule: the chances of attending and of each output. *)
Definition is_rule (a : W -> R) (out : W -> Y -> R) :=
  forall w, [/\ 0 <= a w, forall y, 0 <= out w y & a w + \sum_y out w y = 1].
Definition attention (a : W -> R) := \sum_w P w * a w.
Definition error (out : W -> Y -> R) := \sum_w P w * \sum_y out w y * (1 - post w y).

(* Chow's curve at the price lambda of an error. *)
Definition curve (lambda delta : R) := \sum_w P w * Num.min 1 (lambda * loss w) - lambda * delta.

Lemma loss_ge0 w : 0 <= loss w.
Proof.
case: (post_law w) => p0 p1; rewrite /loss subr_ge0 -p1 (bigD1 (best w)) //= ler_addl.
by apply: sumr_ge0.
Qed.

(*| T0
   English: "P(A=1) ≥ P(A=1) + λ(P(err) − δ) ≥ E[a + λ(1−a)(1−G)] − λδ ≥ E[min(1, λ(1−G))] − λδ"
   Python: "Among all routers, randomised ones included, that are wrong without attention with probability at most δ"
   Scope: finite W. *)
Theorem no_rule_below a out lambda delta :
  is_rule a out -> error out <= delta -> 0 <= lambda -> curve lambda delta <= attention a.
Proof.
move=> rule few l0; rewrite /curve ler_subl_addr.
apply: (@le_trans _ _ (attention a + lambda * error out)); last by rewrite ler_add2l ler_wpmul2l.
rewrite /attention /error mulr_sumr -big_split /=; apply: ler_sum => w _; rewrite mulrCA -mulrDr.
apply: ler_wpmul2l => //; case: (rule w) => a0 out0 total.
have missed : (1 - a w) * loss w <= \sum_y out w y * (1 - post w y).
  rewrite -{1}total addrAC subrr add0r mulr_suml; apply: ler_sum => y _.
  by apply: ler_wpmul2l => //; rewrite /loss ler_add2l ler_opp2.
apply: (@le_trans _ _ (a w + lambda * ((1 - a w) * loss w))); last by rewrite ler_add2l ler_wpmul2l.
have a1 : a w <= 1 by rewrite -total ler_addl sumr_ge0.
have s0 : 0 <= 1 - a w by rewrite subr_ge0.
rewrite mulrCA; have [one|free] := lerP 1 (lambda * loss w).
  by rewrite -ler_subl_addl -{1}[1 - a w]mulr1 ler_wpmul2l.
rewrite mulrBl mul1r addrCA ler_addl subr_ge0 -[X in _ <= X]mulr1 ler_wpmul2l // ltW //.
Qed.

(* Chow's rule: guess where the loss is below a threshold, with the right share where it is equal. *)
Section Threshold.
Variable delta : R.
Hypothesis delta_ge0 : 0 <= delta.

Definition within (theta : R) := \sum_(w | loss w <= theta) P w * loss w.
Definition below (theta : R) := \sum_(w | loss w < theta) P w * loss w.
Definition tied (theta : R) := \sum_(w | loss w == theta) P w * loss w.

Lemma within_split theta : within theta = below theta + tied theta.
Proof.
rewrite /within (bigID (fun w => loss w < theta)) /=; congr (_ + _); apply: eq_bigl => w.
  by rewrite andb_idl // => /ltW.
by rewrite -leNgt eq_le andbC.
Qed.

(* The threshold at which the budget is spent. *)
Lemma threshold : delta < \sum_w P w * loss w -> exists theta, below theta <= delta < within theta.
Proof.
move=> poor.
have [w0 _ top] : exists2 w0 : W, true & forall w, loss w <= loss w0.
  have [w1|] := pickP (fun _ : W => true); last first.
    by move=> none; move: poor; rewrite big1 ?ltNge ?delta_ge0 // => w; have := none w.
  by move=> _; case: (@arg_maxP _ R W w1 predT loss isT) => w0 _ top; exists w0 => // w; exact: top.
have enough : delta < within (loss w0) by rewrite /within (eq_bigl predT) // => w; rewrite top.
case: (@arg_minP _ R W w0 (fun w => delta < within (loss w)) loss enough) => w spent least.
exists (loss w); rewrite spent andbT.
have [w1 w1_below|none] := pickP (fun w1 => loss w1 < loss w); last by rewrite /below big_pred0.
case: (@arg_maxP _ R W w1 (fun w1 => loss w1 < loss w) loss w1_below) => w2 w2_below last.
have -> : below (loss w) = within (loss w2).
  apply: eq_bigl => v; apply/idP/idP => [|v_le]; [exact: last|exact: le_lt_trans w2_below].
by rewrite leNgt; apply/negP => /least; rewrite leNgt w2_below.
Qed.

Variable skip : W -> R.
Definition rule_attend w := 1 - skip w.
Definition rule_output w y := skip w * (y == best w)%:R.

Lemma skip_is_rule : (forall w, 0 <= skip w <= 1) -> is_rule rule_attend rule_output.
Proof.
move=> range w; case/andP: (range w) => s0 s1; split; rewrite /rule_attend /rule_output ?subr_ge0 //.
  by move=> y; rewrite mulr_ge0 ?ler0n.
rewrite (bigD1 (best w)) //= eqxx mulr1 big1 ?addr0 ?subrK // => y /negbTE ->.
by rewrite mulr0.
Qed.

Lemma error_of_skip : error rule_output = \sum_w P w * (skip w * loss w).
Proof.
apply: eq_bigr => w _; congr (_ * _); rewrite (bigD1 (best w)) //= /rule_output eqxx mulr1 big1 ?addr0 //.
by move=> y /negbTE ->; rewrite mulr0 mul0r.
Qed.
End Threshold.

(*| T0
   English: "For this rule each of the inequalities above is an equality"
   Python: "Chow's rule attains it: attend where 1 − G(W) is above a threshold, guess the likeliest value elsewhere"
   Scope: finite W; the threshold policy, with the right share where 1 − G equals it. *)
Theorem attained delta : 0 <= delta -> exists lambda a out,
  [/\ 0 <= lambda, is_rule a out, error out <= delta & attention a = curve lambda delta].
Proof.
move=> d0; have [rich|poor] := lerP (\sum_w P w * loss w) delta.
  exists 0, (rule_attend (fun=> 1)), (rule_output (fun=> 1)).
  split=> //; first by apply: skip_is_rule => w; rewrite ler01 lexx.
    by rewrite error_of_skip; apply: le_trans rich; rewrite le_eqVlt; apply/orP; left; apply/eqP/eq_bigr => w _; rewrite mul1r.
  rewrite /attention /curve mul0r subr0; apply: eq_bigr => w _.
  by rewrite /rule_attend subrr mul0r min_r ?ler01.
have [theta /andP[under over]] := threshold d0 poor.
move: over; rewrite within_split => over.
have tied_gt0 : 0 < tied theta by rewrite -(ltr_add2l (below theta)) addr0; exact: le_lt_trans over.
have theta_gt0 : 0 < theta.
  have [w /eqP w_tied|none] := pickP (fun w => loss w == theta); last by move: tied_gt0; rewrite /tied big_pred0 ?ltxx.
  rewrite lt_def -{2}w_tied loss_ge0 andbT; apply/negP => /eqP zero; move: tied_gt0; rewrite /tied big1 ?ltxx //.
  by move=> v /eqP ->; rewrite zero mulr0.
pose t := (delta - below theta) / tied theta.
have t01 : 0 <= t <= 1.
  by rewrite divr_ge0 ?subr_ge0 ?(ltW tied_gt0) //= ler_pdivr_mulr // mul1r ler_subl_addl ltW.
pose skip w := if loss w < theta then 1 else if loss w == theta then t else 0.
have skip01 w : 0 <= skip w <= 1 by rewrite /skip; do 2?case: ifP => _; rewrite ?lexx ?ler01.
have spent : \sum_w P w * (skip w * loss w) = delta.
  rewrite (bigID (fun w => loss w < theta)) /= [X in _ + X](bigID (fun w => loss w == theta)) /=.
  rewrite [X in _ + (_ + X)]big1 ?addr0 => [|w /andP[/negbTE l /negbTE e]]; last by rewrite /skip l e mul0r mulr0.
  rewrite (eq_bigr (fun w => P w * loss w)) => [|w l]; last by rewrite /skip l mul1r.
  rewrite [X in _ + X](eq_bigr (fun w => t * (P w * loss w))) => [|w /andP[/negbTE l e]]; last first.
    by rewrite /skip l e mulrCA.
  rewrite -mulr_sumr [X in _ + t * X](eq_bigl (fun w => loss w == theta)) => [|w]; last first.
    by rewrite andb_idl // => /eqP ->; rewrite ltxx.
  by rewrite -/(below theta) -/(tied theta) divfK ?gt_eqF // addrC subrK.
exists theta^-1, (rule_attend skip), (rule_output skip); split.
- by rewrite invr_ge0 ltW.
- exact: skip_is_rule.
- by rewrite error_of_skip spent.
rewrite /attention /curve -spent mulr_sumr -sumrB; apply: eq_bigr => w _.
rewrite mulrCA -mulrBr; congr (_ * _); rewrite /rule_attend /skip.
have [lt|gt|eq] := ltgtP (loss w) theta.
- rewrite mul1r min_r; first by rewrite !subrr.
  by rewrite mulrC ler_pdivr_mulr // mul1r ltW.
- by rewrite mul0r mulr0 min_l // mulrC ler_pdivl_mulr // mul1r ltW.
- by rewrite eq mulrCA mulVf ?gt_eqF // mulr1 minxx.
Qed.
End Chow.
